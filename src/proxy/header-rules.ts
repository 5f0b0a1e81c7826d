import type { Configuration } from "../config/settings.ts";

/** What becomes of a header a client sent. */
export type HeaderClass = "forward" | "drop" | "connection" | "credential" | "host" | "request-id" | "method-override";

/** Classifies header names by what the loosest upstream would take them for. */
export interface HeaderRules {
  readonly classify: (name: string) => HeaderClass;
}

/** Ours alone, on every route, whatever the configured identity headers are called. */
export const RESERVED_PREFIX = "x-latchkey-";

// RFC 9110 §7.6.1 and the de facto ones; framing towards the upstream is generated, never copied.
const HOP_BY_HOP = [
  "content-length",
  "transfer-encoding",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "upgrade",
  "http2-settings",
  // Answered at this hop (RFC 9110 §10.1.1).
  "expect",
];

/** Headers no gateway writes, by which a client makes an app serve another path, or skip what it would check. */
export const APP_OVERRIDES: readonly string[] = [
  "x-rewrite-url",
  "x-override-url",
  "script-name",
  "path-info",
  "x-script-name",
  // What an app's own middleware says to itself: Next.js skips its checks (CVE-2025-29927), Rack hands out
  // files (CVE-2025-61780). `proxy` is httpoxy (CVE-2016-5385).
  "x-middleware-subrequest",
  "x-sendfile-type",
  "x-accel-mapping",
  "proxy",
];

// Names that change what an app believes of where a request came from or what it asks for. A trusted
// proxy's X-Forwarded-For, -Proto and -Host are read before and written anew.
const FORGEABLE = [
  // The client's address. PHP reads `Client-IP` as HTTP_CLIENT_IP.
  "forwarded",
  "forwarded-for",
  "x-forwarded",
  "x-original-forwarded-for",
  "via",
  "client-ip",
  "x-real-ip",
  "x-client-ip",
  "x-cluster-client-ip",
  "x-originating-ip",
  "x-remote-ip",
  "x-remote-addr",
  "x-azure-clientip",
  "x-envoy-external-address",
  "true-client-ip",
  "cf-connecting-ip",
  "cf-connecting-ipv6",
  "fastly-client-ip",
  "fly-client-ip",
  "proxy-client-ip",
  "wl-proxy-client-ip",
  // The scheme and the host.
  "front-end-https",
  "x-scheme",
  "x-url-scheme",
  "x-host",
  "x-http-host-override",
  "x-original-host",
  // The path or the method: IIS, Symfony and Zend serve X-Original-URL instead of the target; gunicorn, which
  // trusts whoever speaks to it from loopback, cuts SCRIPT_NAME off the path, and Flask apps X-Script-Name.
  "x-original-url",
  "x-original-uri",
  "x-original-method",
  "x-envoy-original-path",
  ...APP_OVERRIDES,
];
const FORGEABLE_PREFIX = "x-forwarded-";

/** Headers that make an app take a request for one of another method. */
export const METHOD_OVERRIDES: readonly string[] = ["x-http-method-override", "x-http-method", "x-method-override"];

const SPECIAL: readonly (readonly [string, HeaderClass])[] = [
  ["connection", "connection"],
  ["host", "host"],
  ["x-request-id", "request-id"],
];

// Clients send a handful of names; a stranger inventing names must not grow the table.
const MAX_REMEMBERED = 1024;

/**
 * Compiles the rules. CGI, WSGI, PHP and nginx read `_`, `.` and other token characters as `-`
 * (CVE-2025-64484, CVE-2026-88011), so a name is judged by its fold, and an alias of any name that
 * is treated specially is dropped.
 */
export function compileHeaderRules(configuration: Configuration): HeaderRules {
  const { policy, settings } = configuration;
  const classes = new Map<string, HeaderClass>(SPECIAL);
  for (const name of [...HOP_BY_HOP, ...FORGEABLE]) classes.set(name, "drop");
  for (const name of METHOD_OVERRIDES) classes.set(name, "method-override");
  for (const { header } of policy.credentials.locations) classes.set(foldHeaderName(header), "credential");
  for (const { name } of settings.identity.headers) classes.set(foldHeaderName(name), "drop");
  const assertion = settings.identity.assertion;
  if (assertion !== undefined) classes.set(foldHeaderName(assertion.header), "drop");

  const exact = new Set(policy.credentials.locations.map(({ header }) => header));
  const remembered = new Map<string, HeaderClass>();
  const classify = (name: string): HeaderClass => {
    const known = remembered.get(name);
    if (known !== undefined) return known;
    const found = judge(name, classes, exact);
    if (remembered.size < MAX_REMEMBERED) remembered.set(name, found);
    return found;
  };
  return { classify };
}

/** Letters and digits, anything else is `-`, case ignored: what the loosest upstream makes of a name. */
export function foldHeaderName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, "-");
}

function judge(
  name: string,
  classes: ReadonlyMap<string, HeaderClass>,
  credentialNames: ReadonlySet<string>,
): HeaderClass {
  const folded = foldHeaderName(name);
  if (folded.startsWith(RESERVED_PREFIX) || folded.startsWith(FORGEABLE_PREFIX)) return "drop";
  const found = classes.get(folded) ?? "forward";
  const lower = name.toLowerCase();
  if (found === "credential") return credentialNames.has(lower) ? found : "drop";
  return found === "forward" || lower === folded ? found : "drop";
}
