import type { Route } from "../policy/route.ts";
import type { Configuration } from "./settings.ts";

/** The routes that stand in the file: those of `management` are made from three words of it. */
export function writtenRoutes({ policy, settings }: Configuration): readonly Route[] {
  return policy.routes.routes.filter((route) => !settings.operations.has(route));
}
