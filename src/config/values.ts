import type { Limit } from "../policy/bucket.ts";
import type { SocketAddress } from "./settings.ts";

/** What a text means, or why it means nothing. The problem is a phrase that follows "Expected". */
export type Parsed<T> =
  | { readonly kind: "value"; readonly value: T }
  | { readonly kind: "problem"; readonly problem: string };

/** `count` requests per `windowMs`, as written. */
export interface Rate {
  readonly text: string;
  readonly count: number;
  readonly windowMs: number;
}

const DURATION_UNITS: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
]);

const RATE_WINDOWS: ReadonlyMap<string, number> = new Map([
  ["second", 1000],
  ["minute", 60_000],
  ["hour", 3_600_000],
  ["day", 86_400_000],
]);

const SIZE_UNITS: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["B", 1],
  ["KiB", 1024],
  ["MiB", 1024 ** 2],
  ["GiB", 1024 ** 3],
]);

// Timers count in 32 bits of milliseconds, 24.8 days; only windows and lifetimes, which no timer holds, go beyond.
const MAX_DURATION_MS = 366 * 86_400_000;
// Above this a window's interval falls under a microsecond, finer than any clock that drives it.
const MAX_RATE_COUNT = 1_000_000_000;

/** Parses `50%` into 50; whole percents from 0 to 100. */
export function parsePercent(text: string): Parsed<number> {
  const digits = /^(\d{1,3})%$/.exec(text.trim())?.[1];
  const percent = Number(digits);
  return digits === undefined || percent > 100 ? expected("a share of 0% to 100%, such as 50%", text) : value(percent);
}

// Beyond the cores of any machine that a sidecar runs on.
const MAX_WORKERS = 64;

/** Parses `auto` or a number of threads. */
export function parseWorkers(text: string): Parsed<number | "auto"> {
  const written = text.trim();
  if (written === "auto") return value("auto");
  const count = /^\d{1,2}$/.test(written) ? Number(written) : 0;
  return count >= 1 && count <= MAX_WORKERS ? value(count) : expected(`1 to ${MAX_WORKERS} threads, or auto`, text);
}

/** Parses `250ms`, `2s`, `1h30m`, `30d` or a bare `0` into milliseconds. */
export function parseDuration(text: string): Parsed<number> {
  const written = text.trim();
  if (written === "0") return value(0);
  let total = 0;
  let rest = written;
  let smallest = Number.POSITIVE_INFINITY;
  while (rest !== "") {
    const [whole, digits, unit] = /^(\d{1,12})(ms|[smhd])/.exec(rest) ?? [];
    const unitMs = DURATION_UNITS.get(unit ?? "");
    if (whole === undefined || unitMs === undefined || unitMs >= smallest) return expected(DURATION_SHAPE, text);
    total += Number(digits) * unitMs;
    smallest = unitMs;
    rest = rest.slice(whole.length);
  }
  return written === "" || total > MAX_DURATION_MS ? expected(DURATION_SHAPE, text) : value(total);
}

const DURATION_SHAPE = "a duration of at most a year, such as 250ms, 2s, 5m, 1h or 30d";

/** Parses `64KiB`, `1MiB` or plain bytes. */
export function parseSize(written: string | number): Parsed<number> {
  const text = String(written).trim();
  const [, digits, unit] = /^(\d{1,15}) ?([A-Za-z]*)$/.exec(text) ?? [];
  const bytes = Number(digits) * (SIZE_UNITS.get(unit ?? "") ?? Number.NaN);
  return Number.isSafeInteger(bytes) ? value(bytes) : expected("a size, such as 512, 64KiB or 1MiB", text);
}

/** Parses `100/minute`, `5/second` or `100/15m`. */
export function parseRate(text: string): Parsed<Rate> {
  const [, digits, window] = /^(\d{1,10}) ?\/ ?([A-Za-z0-9]+)$/.exec(text.trim()) ?? [];
  const count = Number(digits);
  if (window === undefined || count < 1 || count > MAX_RATE_COUNT) return expected(RATE_SHAPE, text);
  const named = RATE_WINDOWS.get(window) ?? RATE_WINDOWS.get(window.replace(/s$/, ""));
  if (named !== undefined) return value({ text: `${count}/${window}`, count, windowMs: named });
  const parsed = parseDuration(window);
  if (parsed.kind === "problem" || parsed.value < 1000) return expected(RATE_SHAPE, text);
  return value({ text: `${count}/${window}`, count, windowMs: parsed.value });
}

const RATE_SHAPE = "a rate: N/second, N/minute, N/hour, N/day or N per window as 100/15m";

/** A rate as a token bucket; `burst` is how many may come at once where that is not the count itself. */
export function toLimit(rate: Rate, scope: string, burst: number = rate.count): Limit {
  return {
    // The number stays out of the id, so that a changed limit keeps what was spent.
    id: `${scope}/${rate.windowMs}ms`,
    name: rate.text,
    count: rate.count,
    windowMs: rate.windowMs,
    capacity: burst,
    intervalMs: rate.windowMs / rate.count,
  };
}

/** Where the admin port listens if nothing is said of it. */
export const DEFAULT_ADMIN = "127.0.0.1:9090";

/** Parses `host:port`, `:8080`, `8080`, `[::1]:8080` or `unix:/path`. Without a host, every IPv4 address is meant. */
export function parseSocketAddress(written: string | number): Parsed<SocketAddress> {
  const text = String(written).trim();
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length);
    // sun_path holds 108 bytes with its terminating NUL.
    const fits = path.startsWith("/") && Buffer.byteLength(path) < 108 && !path.includes("\0");
    return fits ? value({ kind: "unix", path }) : expected("an absolute path under 108 bytes after unix:", text);
  }
  const [, bracketed, host, digits] =
    /^(?:(?:\[([0-9A-Fa-f:.%a-z]+)\]|([A-Za-z0-9._-]*)):)?(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535) return expected(ADDRESS_SHAPE, text);
  return value({ kind: "tcp", host: bracketed ?? (host === undefined || host === "" ? "0.0.0.0" : host), port });
}

const ADDRESS_SHAPE = "an address: host:port, [::1]:8080, :8080, 8080 or unix:/path";

/** Parses the address of the admin port, or `off`. */
export function parseAdminAddress(text: string): Parsed<SocketAddress | "off"> {
  return text === "off" ? value("off") : parseSocketAddress(text);
}

// RFC 3339 §5.6; an instant without its offset would mean another time on another machine.
const INSTANT = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)$/;

/** Parses an instant such as `2027-01-01T00:00:00Z` into Unix milliseconds. */
export function parseInstant(text: string): Parsed<number> {
  const fields = INSTANT.exec(text);
  const ms = fields === null ? Number.NaN : Date.parse(text.toUpperCase());
  // `Date.parse` reads 30 February as 2 March.
  const days = fields === null ? 0 : new Date(Date.UTC(Number(fields[1]), Number(fields[2]), 0)).getUTCDate();
  return Number.isNaN(ms) || Number(fields?.[3]) > days
    ? expected("an instant with its offset, such as 2027-01-01T00:00:00Z", text)
    : value(ms);
}

/** An upstream as its origin and, for a unix socket, the socket's path. */
export interface UpstreamAddress {
  readonly origin: string;
  readonly socketPath: string | undefined;
}

/** Parses `http://host:port`, `https://host` or `unix:/path`. A path would change what was authorised, so none may stand. */
export function parseUpstream(text: string): Parsed<UpstreamAddress> {
  if (text.startsWith("unix:")) {
    const parsed = parseSocketAddress(text);
    if (parsed.kind === "problem") return parsed;
    return value({ origin: "http://localhost", socketPath: text.slice("unix:".length) });
  }
  const url = URL.parse(text);
  if (url === null || !/^https?:\/\//i.test(text)) return expected(UPSTREAM_SHAPE, text);
  if (url.username !== "" || url.password !== "") {
    return { kind: "problem", problem: `${UPSTREAM_SHAPE}; a user name or password in it is not supported` };
  }
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    return expected(`${UPSTREAM_SHAPE}, without a path: requests are forwarded as they came`, text);
  }
  return value({ origin: url.origin, socketPath: undefined });
}

const UPSTREAM_SHAPE = "the upstream's URL: http://host:port, https://host:port or unix:/path";

function value<T>(parsed: T): Parsed<T> {
  return { kind: "value", value: parsed };
}

function expected(shape: string, found: string): Parsed<never> {
  return { kind: "problem", problem: `${shape}; found ${quote(found)}` };
}

// Enough to recognise a value by, too little to print a file that stands in the wrong place.
const QUOTED_LENGTH = 60;

/** A value as messages show it: on one line, without control characters, cut when long. */
export function quote(text: string): string {
  const cut = text.length > QUOTED_LENGTH ? `${text.slice(0, QUOTED_LENGTH)}…` : text;
  return JSON.stringify(cut);
}
