import type { Generation } from "../proxy/generation.ts";
import { APP_OVERRIDES, foldHeaderName, METHOD_OVERRIDES, RESERVED_PREFIX } from "../proxy/header-rules.ts";

/** Headers of a client that the data plane would take out. An authoriser cannot, so whoever sends one is refused. */
export interface UnremovableHeaders {
  /** What stands in the request that no request may carry, in words for the log. */
  readonly find: (rawHeaders: readonly string[]) => string | undefined;
  /** The same, of headers that only a route with `allowMethodOverride` takes. */
  readonly findOverride: (rawHeaders: readonly string[]) => string | undefined;
  /** The names only Latchkey may set, as they are set. */
  readonly reserved: readonly string[];
}

/** The one reserved header a call may carry, where there is a token. */
export const TOKEN_HEADER = "x-latchkey-authorizer-token";

const COMPILED = new WeakMap<Generation, UnremovableHeaders>();

export function unremovableHeaders(generation: Generation): UnremovableHeaders {
  let compiled = COMPILED.get(generation);
  if (compiled === undefined) {
    compiled = compile(generation);
    COMPILED.set(generation, compiled);
  }
  return compiled;
}

function compile({ configuration: { settings } }: Generation): UnremovableHeaders {
  const { headers, assertion } = settings.identity;
  const hasToken = settings.admin?.authorizer?.tokenSha256 !== undefined;
  const reserved = [...headers.map(({ name }) => name), ...(assertion === undefined ? [] : [assertion.header])];
  const reservedFolds = new Map(reserved.map((name) => [foldHeaderName(name), name]));
  const judge = (name: string): string | undefined => {
    const folded = foldHeaderName(name);
    if (hasToken && name.toLowerCase() === TOKEN_HEADER) return undefined;
    if (APP_OVERRIDES.includes(folded)) return `a header by which apps change what they serve, ${folded}`;
    const own = reservedFolds.get(folded);
    if (own !== undefined) return `a reserved header, ${own}`;
    return folded.startsWith(RESERVED_PREFIX) ? "a reserved header, X-Latchkey-…" : undefined;
  };
  return {
    reserved,
    find: (rawHeaders) =>
      findLine(rawHeaders, (name, value) =>
        // CVE-2022-31813: at a gateway that obeys it, ours would be taken out with what the client nominates.
        name.toLowerCase() === "connection"
          ? value
              .split(",")
              .map((option) => judge(option.trim()))
              .find((found) => found !== undefined)
          : judge(name),
      ),
    findOverride: (rawHeaders) =>
      findLine(rawHeaders, (name) => {
        const folded = foldHeaderName(name);
        return METHOD_OVERRIDES.includes(folded) ? `a method override, ${folded}` : undefined;
      }),
  };
}

function findLine(
  rawHeaders: readonly string[],
  judge: (name: string, value: string) => string | undefined,
): string | undefined {
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const found = judge(rawHeaders[index] ?? "", rawHeaders[index + 1] ?? "");
    if (found !== undefined) return found;
  }
  return undefined;
}
