import { resolve } from "node:path";
import { compileNetworks, parseNetwork } from "../policy/network.ts";
import { compileRanges } from "./compile-networks.ts";
import type { Path } from "./diagnostics.ts";
import type { Report } from "./report.ts";
import type { Main } from "./schema.ts";
import type {
  AuthorizerSettings,
  DrainSettings,
  LimitHeaders,
  ListenSettings,
  Settings,
  TrustedProxies,
  UpstreamSettings,
} from "./settings.ts";
import type { Surroundings } from "./snapshot.ts";
import { quote } from "./values.ts";

/** Compiles everything around the policy that has no file of its own here. */
export function compileSettings(
  main: Main,
  around: Surroundings,
  report: Report,
): Omit<Settings, "denials" | "identity" | "operations"> {
  const { admin, shadow, reload, log } = main;
  checkWorkers(main, report);
  return {
    listen: compileListen(main, around, report),
    upstream: compileUpstream(main, around, report),
    admin: admin && {
      address: admin.address,
      tokenSha256: toDigestHex(admin.token),
      probes: new Map(Object.entries(admin.probes)),
      authorizer: compileAuthorizer(admin.authorizer, report, ["admin", "authorizer"]),
    },
    limitHeaders: compileLimitHeaders(main, report),
    shadow: shadow === undefined ? undefined : resolve(around.directory, shadow),
    reload: { maxRemovedPercent: reload.maxRemoved, confirm: reload.confirm },
    workers: main.workers,
    drain: compileDrain(main, report),
    log,
  };
}

function compileDrain({ drain, admin }: Main, report: Report): DrainSettings {
  const tokenSha256 = toDigestHex(drain.token);
  // It stands in pod specs, which more people may read than may reload.
  if (tokenSha256 !== undefined && tokenSha256 === toDigestHex(admin?.token)) {
    report.error(["drain", "token"], "This is the admin token; expected a token of its own, good for the drain alone");
  }
  return { delayMs: drain.delay, timeoutMs: drain.timeout, tokenSha256 };
}

function compileListen({ listen }: Main, around: Surroundings, report: Report): ListenSettings {
  const { tls, timeouts } = listen;
  checkPem(tls?.cert, "CERTIFICATE", around, report, ["listen", "tls", "cert"]);
  checkPem(tls?.key, "PRIVATE KEY", around, report, ["listen", "tls", "key"]);
  if (listen.maxBody === 0) {
    report.warning(["listen", "maxBody"], "Every request with a body is refused", "Leave maxBody out for no limit");
  }
  return {
    address: listen.address,
    tls: tls && { cert: resolve(around.directory, tls.cert), key: resolve(around.directory, tls.key) },
    trustedProxies: compileTrusted(listen.trustedProxies, report, ["listen", "trustedProxies"]),
    headersTimeoutMs: timeouts.headers,
    requestTimeoutMs: timeouts.request,
    bodyIdleTimeoutMs: timeouts.body,
    idleTimeoutMs: timeouts.idle,
    maxConnections: listen.maxConnections,
    maxHeaderBytes: listen.maxHeaderBytes,
    maxHeaders: listen.maxHeaders,
    maxBodyBytes: listen.maxBody,
  };
}

function toDigestHex(token: string | undefined): string | undefined {
  return token?.slice("sha256:".length).toLowerCase();
}

type WrittenAuthorizer = NonNullable<Main["admin"]>["authorizer"];

function compileAuthorizer(written: WrittenAuthorizer, report: Report, path: Path): AuthorizerSettings | undefined {
  if (written === undefined) return undefined;
  const { trustedPeers, token } = written;
  if (trustedPeers.length === 0) {
    report.error(path, "Expected at least one address or CIDR range of a gateway that may ask");
  }
  for (const range of trustedPeers) {
    // Whoever may ask may also say from where a request comes, and try keys under any address.
    if (token === undefined && parseNetwork(range)?.prefix === 0) {
      report.error(
        path,
        `${quote(range)} is everybody, who could then describe any request; name the gateway, or set a token`,
      );
    }
  }
  const networks = compileRanges(trustedPeers, report, [...path, "trustedPeers"]);
  return { trustedPeers: networks ?? compileNetworks([]), tokenSha256: toDigestHex(token) };
}

function compileTrusted(written: Main["listen"]["trustedProxies"], report: Report, path: Path): TrustedProxies {
  if (Array.isArray(written)) {
    const all = compileRanges(written, report, path);
    return { address: all, scheme: all, host: all };
  }
  return {
    address: compileRanges(written.address, report, [...path, "address"]),
    scheme: compileRanges(written.scheme, report, [...path, "scheme"]),
    host: compileRanges(written.host, report, [...path, "host"]),
  };
}

/** Threads share a port by the kernel's doing, which knows no such thing for sockets in the file system. */
function checkWorkers({ workers, listen, upstream }: Main, report: Report): void {
  if (workers === "auto" || workers === 1) return;
  if (listen.address.kind === "unix") {
    report.error(
      ["workers"],
      `A unix socket is served by one thread, not by ${workers}`,
      "Leave workers out, or listen on a port",
    );
  }
  if (upstream.maxConnections < workers) {
    report.error(
      ["workers"],
      `Each of ${workers} threads needs a connection to the upstream; upstream.maxConnections is ${upstream.maxConnections}`,
    );
  }
}

function compileUpstream({ upstream }: Main, around: Surroundings, report: Report): UpstreamSettings {
  const { url, ca, timeouts, maxConnections, maxQueue } = upstream;
  if (url === undefined) {
    report.error(
      ["upstream"],
      "Required field is missing; expected the upstream's URL, such as http://127.0.0.1:3000",
      "Write `upstream: http://127.0.0.1:3000`, or set LATCHKEY_UPSTREAM",
    );
  }
  checkPem(ca, "CERTIFICATE", around, report, ["upstream", "ca"]);
  if (ca !== undefined && url?.origin.startsWith("http://")) {
    report.warning(["upstream", "ca"], "The upstream is not https, so its certificate is never checked");
  }
  return {
    origin: url?.origin ?? "",
    socketPath: url?.socketPath,
    ca: ca === undefined ? undefined : around.referenced.get(`file:${ca}`),
    connectTimeoutMs: timeouts.connect,
    responseTimeoutMs: timeouts.response,
    idleTimeoutMs: timeouts.idle,
    maxConnections,
    maxQueue,
  };
}

function checkPem(
  name: string | undefined,
  block: "CERTIFICATE" | "PRIVATE KEY",
  around: Surroundings,
  report: Report,
  path: readonly string[],
): void {
  const text = name === undefined ? undefined : around.referenced.get(`file:${name}`);
  // A file that could not be read was reported where it was read.
  if (text === undefined || new RegExp(`-----BEGIN (?:[A-Z0-9]+ )*${block}-----`).test(text)) return;
  report.error(path, `The file holds no PEM block "BEGIN ${block}"`);
}

function compileLimitHeaders({ limits }: Main, report: Report): LimitHeaders {
  const chosen = new Set(limits.headers);
  if (chosen.has("legacy") && chosen.has("legacy-epoch")) {
    report.error(["limits", "headers"], "legacy and legacy-epoch write the same headers; expected one of them");
  }
  const legacy = chosen.has("legacy-epoch") ? "epoch" : chosen.has("legacy") ? "seconds" : "off";
  return { ietf: chosen.has("ietf"), legacy };
}
