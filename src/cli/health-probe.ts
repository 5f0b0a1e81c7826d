import { readFile } from "node:fs/promises";
import { get } from "node:http";
import { parse } from "yaml";
import { DEFAULT_ADMIN, parseSocketAddress } from "../config/values.ts";
import type { Terminal } from "./terminal.ts";

export interface Probe {
  readonly kind: "probe";
  readonly url: URL;
  readonly socketPath: string | undefined;
}

export type FoundProbe =
  | Probe
  | { readonly kind: "problem"; readonly problem: string }
  /** A flag that makes no sense: the command was called wrongly. */
  | { readonly kind: "misused"; readonly problem: string };

export interface ProbeFlags {
  readonly config?: string;
  readonly admin?: string;
  readonly url?: string;
  readonly ready?: true;
}

const DEFAULT_CONFIG = "latchkey.yaml";

/** Where to ask: the flag, else the environment, else the config file, else the default address. */
export async function findProbe(flags: ProbeFlags, terminal: Pick<Terminal, "env">): Promise<FoundProbe> {
  if (flags.url !== undefined) {
    const url = URL.parse(flags.url);
    return url?.protocol === "http:"
      ? { kind: "probe", url, socketPath: undefined }
      : { kind: "misused", problem: `--url takes an http:// URL; found "${flags.url}"` };
  }
  const path = flags.ready === true ? "/readyz" : "/livez";
  const named = flags.admin ?? (terminal.env["LATCHKEY_ADMIN"] || undefined);
  const written =
    named ?? (await readAdminAddress(flags.config ?? (terminal.env["LATCHKEY_CONFIG"] || DEFAULT_CONFIG)));
  if (written === "off") return { kind: "problem", problem: "the admin port is off, so there is nobody to ask" };
  const parsed = parseSocketAddress(written);
  if (parsed.kind === "problem") {
    return flags.admin === undefined
      ? { kind: "problem", problem: `expected ${parsed.problem}` }
      : { kind: "misused", problem: `--admin takes ${parsed.problem}` };
  }
  if (parsed.value.kind === "unix") {
    return { kind: "probe", url: new URL(path, "http://localhost"), socketPath: parsed.value.path };
  }
  const { host, port } = parsed.value;
  return { kind: "probe", url: new URL(path, `http://${toReachable(host)}:${port}`), socketPath: undefined };
}

/** A listener on every address is reached on the loopback one. */
function toReachable(host: string): string {
  if (host === "0.0.0.0") return "127.0.0.1";
  if (host === "::") return "localhost";
  return host.includes(":") ? `[${host}]` : host;
}

/**
 * Reads nothing of the file but `admin`: validating a large config every few seconds would cost more
 * than serving it. A file that cannot be read is the running proxy's concern, not this command's.
 */
async function readAdminAddress(file: string): Promise<string | number> {
  try {
    const admin = memberOf(parseAdmin(await readFile(file, "utf8")), "admin");
    const address = typeof admin === "object" ? memberOf(admin, "address") : admin;
    if (address === false) return "off";
    return typeof address === "string" || typeof address === "number" ? address : DEFAULT_ADMIN;
  } catch {
    return DEFAULT_ADMIN;
  }
}

// A name of the outermost mapping begins its line; what belongs to it is empty, a comment or indented.
const ADMIN_LINES = /^(?:admin|"admin"|'admin')[ \t]*:.*(?:\r?\n(?:[ \t#].*)?)*/m;

/** Of a long file no more than is asked: thousands of inline keys take seconds, and the memory of the container. */
function parseAdmin(text: string): unknown {
  try {
    return /^\s*\{/.test(text) ? JSON.parse(text) : parse(ADMIN_LINES.exec(text)?.[0] ?? "");
  } catch {
    // YAML in braces, or an alias of something elsewhere in the file.
    return parse(text);
  }
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? new Map(Object.entries(value)).get(name) : undefined;
}

/** Asks once; undefined when the answer is a success, else why it is none. */
export function askHealth({ url, socketPath }: Probe, timeoutMs: number): Promise<string | undefined> {
  const where = socketPath === undefined ? url.href : `unix:${socketPath} ${url.pathname}`;
  return new Promise((resolve) => {
    const request = get(
      url,
      { agent: false, signal: AbortSignal.timeout(timeoutMs), ...(socketPath === undefined ? {} : { socketPath }) },
      (response) => {
        response.resume();
        const status = response.statusCode ?? 0;
        resolve(status >= 200 && status < 300 ? undefined : `${where} answered ${status}`);
        request.destroy();
      },
    );
    request.on("error", (error) => {
      resolve(
        error.name === "AbortError"
          ? `${where} did not answer within ${timeoutMs} ms`
          : `${where}: ${describeFailure(error)}`,
      );
    });
  });
}

/** A name with several addresses fails with one error for each, and no message of its own. */
export function describeFailure(error: Error): string {
  if (error instanceof AggregateError) return error.errors.map(String).join("; ");
  return error.message;
}
