import type { Policy } from "../../../src/policy/policy.ts";
import type { Gateway } from "../../../src/proxy/gateway.ts";
import type { Generation } from "../../../src/proxy/generation.ts";

/** Breaks one part of a gateway. */
export type BreakPart = (gateway: Gateway) => Gateway;

export const broken = (): never => {
  throw new Error("broken on purpose");
};

/** An object every touch of which throws. */
export const untouchable = <T extends object>(sound: T): T =>
  new Proxy(sound, { get: broken, has: broken, ownKeys: broken });

export const withGeneration =
  (change: (generation: Generation) => Generation): BreakPart =>
  (gateway) => ({ ...gateway, current: () => change(gateway.current()) });

export const withSettings = (
  name: "denials" | "limitHeaders" | "operations" | "listen" | "upstream" | "identity",
): BreakPart =>
  withGeneration((generation) => {
    const { configuration } = generation;
    const settings = { ...configuration.settings, [name]: untouchable(configuration.settings[name]) };
    return { ...generation, configuration: { ...configuration, settings } };
  });

export const withPolicy = (
  name: "paths" | "routes" | "credentials" | "keyFormats" | "accept" | "keys" | "principals",
): BreakPart =>
  withGeneration((generation) => {
    const { configuration } = generation;
    const sound: Policy = { ...configuration.policy, principals: new WeakMap() };
    const policy = { ...sound, [name]: untouchable(sound[name]) };
    return { ...generation, configuration: { ...configuration, policy } };
  });
