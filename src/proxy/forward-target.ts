import { findUrlCredentials } from "../policy/credential.ts";
import { isPrefixedKey } from "../policy/key-format.ts";
import type { Policy } from "../policy/policy.ts";
import type { Route } from "../policy/route.ts";

/**
 * The target the upstream receives: the very bytes of the path that was authorised, and the query
 * without what may not travel (a method override the route does not allow, a key where `inUrl: strip`).
 */
export function toForwardTarget(target: string, route: Route, policy: Policy): string {
  const mark = target.indexOf("?");
  if (mark === -1) return target;
  const query = target.slice(mark + 1);
  const stripped = strippedParameters(query, route, policy);
  if (stripped.size === 0) return target;
  const kept = query.split("&").filter((pair) => !stripped.has(parameterName(pair)));
  const path = target.slice(0, mark);
  return kept.length === 0 ? path : `${path}?${kept.join("&")}`;
}

function strippedParameters(query: string, route: Route, policy: Policy): Set<string> {
  const stripped = new Set<string>();
  if (!route.allowMethodOverride) {
    for (const pair of query.split("&")) {
      const name = parameterName(pair);
      if (isMethodOverride(name)) stripped.add(name);
    }
  }
  // Of a public route no credential is read, but one in its URL must not travel on either.
  if (policy.credentials.inUrl !== "ignore") {
    const isKey = (text: string) => isPrefixedKey(text, policy.keyFormats);
    for (const name of findUrlCredentials(query, policy.credentials, isKey)) stripped.add(name);
  }
  return stripped;
}

function parameterName(pair: string): string {
  const equals = pair.indexOf("=");
  return equals === -1 ? pair : pair.slice(0, equals);
}

/** `_method` as Rails, Laravel and Express read it; PHP also makes `_` of `.`, blank and `[` in a name. */
function isMethodOverride(name: string): boolean {
  if (name.length < 7) return false;
  const decoded = name.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return /^[ +]*[_. +[]method(\[|\]|$)/i.test(decoded);
}
