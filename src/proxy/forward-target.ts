import { decodeLeniently, findUrlCredentials, foldParameter, PARAMETER_SEPARATOR } from "../policy/credential.ts";
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
  const path = target.slice(0, mark);
  const kept = withoutParameters(query, stripped);
  return kept === "" ? path : `${path}?${kept}`;
}

/** What is left keeps the separator that stood before it. */
function withoutParameters(query: string, stripped: ReadonlySet<string>): string {
  let kept: string | undefined;
  for (const [, separator = "", pair = ""] of query.matchAll(/(^|[&;])([^&;]*)/g)) {
    if (stripped.has(parameterName(pair))) continue;
    kept = kept === undefined ? pair : `${kept}${separator}${pair}`;
  }
  return kept ?? "";
}

function strippedParameters(query: string, route: Route, policy: Policy): Set<string> {
  const stripped = new Set<string>();
  if (!route.allowMethodOverride) {
    for (const pair of query.split(PARAMETER_SEPARATOR)) {
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

// As ASP.NET reads X-HTTP-Method-Override from the query too.
const OVERRIDE_PARAMETERS: ReadonlySet<string> = new Set(["xhttpmethodoverride", "xhttpmethod", "xmethodoverride"]);

/**
 * `_method` as Rails, Laravel and Express read it. PHP makes `_` of `.`, blank and `[` in a name and ends
 * it at a NUL; qs, Express's parser, takes brackets around it away.
 */
function isMethodOverride(name: string): boolean {
  if (name.length < 7) return false;
  const decoded = decodeLeniently(name);
  return /^[^A-Za-z0-9]+method(?:[^A-Za-z0-9]|$)/i.test(decoded) || OVERRIDE_PARAMETERS.has(foldParameter(decoded));
}
