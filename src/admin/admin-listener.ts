import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { JWK } from "jose";
import type { AdminSettings, SocketAddress } from "../config/settings.ts";
import { listen } from "../proxy/listen.ts";
import type { Authorizer } from "./authorizer.ts";
import type { Prober } from "./probe.ts";
import { isToken } from "./token.ts";

/**
 * The other port. Answers, by path:
 *
 * - `GET /livez`                  200 as long as the process answers
 * - `GET /readyz`                 200 when requests are taken, 503 while starting or draining; JSON detail
 * - `GET /metrics`                Prometheus text
 * - `GET /.well-known/jwks.json`  public keys of the identity assertion
 * - `GET /probe/<name>`           the status of the configured path of the upstream
 * - `/authorize`, `/authorize/…`  decides a request that a gateway describes (trusted peers; any method)
 * - `POST /-/reload`              reloads the config now (token); 422 when it is refused
 * - `GET`, `POST /-/drain`        announces the drain (token, or the drain's own)
 * - `GET /-/shadow`               how the candidate policy differs on the traffic so far (token)
 */
export interface AdminListener {
  readonly address: SocketAddress;
  readonly close: () => void;
}

/** What the admin port can ask of the process. */
export interface AdminBackend {
  /** Read at every request: the token and probes may be reloaded. */
  readonly settings: () => AdminSettings | undefined;
  readonly readiness: () => { readonly ready: boolean; readonly detail: Readonly<Record<string, unknown>> };
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
  readonly jwks: () => Promise<readonly JWK[]>;
  readonly probe: Prober;
  readonly reload: () => Promise<ReloadReport>;
  readonly shadow: () => Promise<Readonly<Record<string, unknown>>>;
  readonly drain: {
    /** Of the token that may announce the drain and do nothing else. */
    readonly tokenSha256: () => string | undefined;
    /** Idempotent, and for good: nothing but a restart undoes it. */
    readonly announce: () => Readonly<Record<string, unknown>>;
  };
  readonly authorize: Authorizer;
  /** How large the head of a request may be that a gateway describes. */
  readonly maxHeaderBytes: number;
}

/** What came of a reload, with more for who asked. */
export interface ReloadReport extends Readonly<Record<string, unknown>> {
  readonly kind: "swapped" | "unchanged" | "rejected";
}

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly headers?: readonly string[];
}

const TEXT = "text/plain; charset=utf-8";
const JSON_TYPE = "application/json; charset=utf-8";

// Node's own default.
const MIN_HEADER_BYTES = 16 * 1024;

export async function openAdminListener(settings: AdminSettings, backend: AdminBackend): Promise<AdminListener> {
  // A call to the authoriser holds the request's own headers and, described, its target once more.
  const maxHeaderSize = Math.max(MIN_HEADER_BYTES, 2 * backend.maxHeaderBytes);
  const server = createServer({ requestTimeout: 10_000, headersTimeout: 5_000, maxHeaderSize }, (request, response) => {
    // What this throws has no caller to catch it, and would end the process.
    serve(request, response, backend).catch(() => response.destroy());
  });
  // 0 is no limit: Node would drop the lines beyond its own unseen (CVE-2026-58044), and the authoriser counts them.
  server.maxHeadersCount = 0;
  await listen(server, settings.address);
  const bound = server.address();
  const { address } = settings;
  return {
    address:
      typeof bound === "object" && bound !== null && address.kind === "tcp"
        ? { ...address, port: bound.port }
        : address,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

const BROKEN: Answer = { status: 500, contentType: TEXT, body: "internal error\n" };

async function serve(request: IncomingMessage, response: ServerResponse, backend: AdminBackend): Promise<void> {
  try {
    if (backend.authorize(request, response)) return;
    write(response, await answer(request, backend));
  } catch {
    if (response.headersSent) response.destroy();
    else write(response, BROKEN);
  }
}

async function answer(request: IncomingMessage, backend: AdminBackend): Promise<Answer> {
  const path = (request.url ?? "/").split("?", 1)[0] ?? "/";
  const isRead = request.method === "GET" || request.method === "HEAD";
  if (isRead) {
    const open = await answerOpen(path, backend);
    if (open !== undefined) return open;
  }
  // A kubelet's hook sends a GET. It is no danger where a token must be sent with it (RFC 9110 §9.2.1).
  if (path === "/-/drain" && (request.method === "GET" || request.method === "POST") && mayDrain(request, backend)) {
    return toJson(200, backend.drain.announce());
  }
  // Beyond health and metrics nothing is told without the token, not even which paths exist.
  if (!holdsToken(request, backend.settings()?.tokenSha256)) {
    return { status: 401, contentType: TEXT, body: "admin token required\n", headers: ["WWW-Authenticate", "Bearer"] };
  }
  if (path === "/-/reload" && request.method === "POST") return toReloadAnswer(await backend.reload());
  if (path === "/-/shadow" && isRead) return toJson(200, await backend.shadow());
  return { status: 404, contentType: TEXT, body: "not found\n" };
}

async function answerOpen(path: string, backend: AdminBackend): Promise<Answer | undefined> {
  if (path === "/livez") return { status: 200, contentType: TEXT, body: "ok\n" };
  if (path === "/readyz") {
    const { ready, detail } = backend.readiness();
    return toJson(ready ? 200 : 503, detail);
  }
  if (path === "/metrics") {
    const { contentType, text } = await backend.metrics();
    return { status: 200, contentType, body: text };
  }
  if (path === "/.well-known/jwks.json") return toJson(200, { keys: await backend.jwks() });
  if (path.startsWith("/probe/")) {
    const target = backend.settings()?.probes.get(path.slice("/probe/".length));
    if (target === undefined) return { status: 404, contentType: TEXT, body: "no such probe\n" };
    const status = await backend.probe(target);
    return { status, contentType: TEXT, body: `upstream answered ${status}\n` };
  }
  return undefined;
}

function toJson(status: number, value: Readonly<Record<string, unknown>>): Answer {
  return { status, contentType: JSON_TYPE, body: `${JSON.stringify(value)}\n` };
}

/** For who asks with a program that looks at the status alone, as `curl --fail`. */
function toReloadAnswer(report: ReloadReport): Answer {
  return toJson(report.kind === "rejected" ? 422 : 200, report);
}

function mayDrain(request: IncomingMessage, { drain, settings }: AdminBackend): boolean {
  const [byDrain, byAdmin] = [drain.tokenSha256(), settings()?.tokenSha256].map((digest) =>
    holdsToken(request, digest),
  );
  return byDrain === true || byAdmin === true;
}

function holdsToken(request: IncomingMessage, sha256Hex: string | undefined): boolean {
  return isToken(/^Bearer +(\S+)$/i.exec(request.headers.authorization ?? "")?.[1], sha256Hex);
}

function write(response: ServerResponse, reply: Answer): void {
  const length = Buffer.byteLength(reply.body);
  response.writeHead(reply.status, [
    ...["Content-Type", reply.contentType, "Content-Length", String(length), "Cache-Control", "no-store"],
    ...["X-Content-Type-Options", "nosniff", ...(reply.headers ?? [])],
  ]);
  response.end(reply.body);
}
