import type { Limit } from "../policy/bucket.ts";
import type { Key, KeyIndex } from "../policy/key.ts";
import type { KeyFormat } from "../policy/key-format.ts";
import type { Route } from "../policy/route.ts";
import { type Grants, grantsScope } from "../policy/scope.ts";
import type { RecordList } from "./compile-keys.ts";
import { smallestCapacity } from "./compile-limits.ts";
import type { Diagnostic } from "./diagnostics.ts";
import type { Document } from "./document.ts";
import { findShadowed } from "./lint-routes.ts";
import { createReport, type Report } from "./report.ts";
import type { Main } from "./schema.ts";
import type { Snapshot } from "./snapshot.ts";
import { quote } from "./values.ts";

/** What the lint rules look at: parts that are each valid, but perhaps not what was meant together. */
export interface LintInput {
  readonly main: Main;
  readonly document: Document;
  readonly lists: readonly RecordList[];
  readonly snapshot: Snapshot;
  readonly routes: readonly Route[];
  readonly keys: KeyIndex;
  readonly formats: readonly KeyFormat[];
  readonly defaultLimits: readonly Limit[];
  /** Undefined: nothing is said of expiry. */
  readonly nowMs: number | undefined;
}

/** Adds what can never have been meant, as errors, and what is most likely a slip, as warnings. */
export function lintPolicy(input: LintInput, found: Diagnostic[]): void {
  const report = createReport(input.document, found);
  lintRoutes(input, report);
  lintCosts(input, report);
  lintAdmin(input, report);
  lintPrefixes(input, found);
  lintKeys(input, found);
  lintModes(input, found);
}

function lintRoutes({ main, routes }: LintInput, report: Report): void {
  if (main.routes.length === 0) {
    report.warning(["routes"], "There are no routes, so every request is refused", 'Begin with match: "* /**"');
  }
  // With a route left out for its errors the positions no longer agree, and those errors come first.
  if (routes.length !== main.routes.length) return;
  for (const { index, by } of findShadowed(routes)) {
    const route = routes[by];
    const at = route === undefined ? "" : ` (${quote(route.match)}, line ${route.source.line})`;
    report.warning(["routes", index], `The route can never match: routes[${by}]${at} matches everything it would`);
  }
}

/** A request that costs more than a limit ever holds could never pass. */
function lintCosts({ main, defaultLimits }: LintInput, report: Report): void {
  const capacity = smallestCapacity(defaultLimits);
  for (const [index, { cost, public: isPublic }] of main.routes.entries()) {
    if (isPublic || cost <= capacity) continue;
    report.error(
      ["routes", index, "cost"],
      `Cost ${cost} is above ${capacity}, the most that limits.default ever admits`,
    );
  }
}

function lintAdmin({ main }: LintInput, report: Report): void {
  const { listen, admin } = main;
  if (admin === undefined || JSON.stringify(listen.address) !== JSON.stringify(admin.address)) return;
  if (admin.address.kind === "tcp" && admin.address.port === 0) return;
  report.error(["admin", "address"], "The admin port has the same address as listen; expected another");
}

/** A bcrypt record whose prefix no format begins with is never looked at. */
function lintPrefixes({ lists, formats }: LintInput, found: Diagnostic[]): void {
  const starts = formats.map(({ prefix }) => prefix);
  if (starts.length === 0) return;
  for (const { document, records } of lists) {
    for (const [index, { prefix, hash }] of records.entries()) {
      if (prefix === undefined || !hash.startsWith("$")) continue;
      if (starts.some((start) => start.startsWith(prefix) || prefix.startsWith(start))) continue;
      createReport(document, found).warning(
        ["keys", index, "prefix"],
        `No key format begins with ${quote(prefix)}, so this key can never match`,
      );
    }
  }
}

function lintKeys(input: LintInput, found: Diagnostic[]): void {
  const { lists, keys, nowMs, routes } = input;
  const reach = createReach(routes);
  const costliest = Math.max(1, ...routes.map(({ cost }) => cost));
  let position = 0;
  for (const { document, records } of lists) {
    const report = createReport(document, found);
    const expired: Expired[] = [];
    for (let index = 0; index < records.length; index += 1) {
      const key = keys.all[position];
      // A record that did not compile has its errors already, and no key to look at.
      if (key === undefined || key.id !== records[index]?.id) continue;
      position += 1;
      if (key.rotatedTo !== undefined && !keys.byId.has(key.rotatedTo)) {
        report.warning(["keys", index, "rotatedTo"], `No key has the id ${quote(key.rotatedTo)}`);
      }
      if (key.status === "revoked") continue;
      if (nowMs !== undefined && key.expiresAtMs !== undefined && key.expiresAtMs <= nowMs) {
        expired.push({ index, id: key.id });
        continue;
      }
      if (routes.length > 0 && !reach.any(key)) {
        report.warning(
          ["keys", index, "scopes"],
          `Key ${quote(key.id)} has the scopes of no route, so it can call nothing`,
        );
      }
      lintKeyCost(key, index, costliest, routes, reach, report);
    }
    reportExpired(expired, report);
  }
}

interface Expired {
  readonly index: number;
  readonly id: string;
}

/** One warning a file: where keys expire as they should, there are soon many. */
function reportExpired([first, ...more]: readonly Expired[], report: Report): void {
  if (first === undefined) return;
  const have = more.length === 0 ? "has" : `and ${more.length} more of this file have`;
  report.warning(["keys", first.index, "expiresAt"], `Key ${quote(first.id)} ${have} expired`);
}

function lintKeyCost(
  key: Key,
  index: number,
  costliest: number,
  routes: readonly Route[],
  reach: Reach,
  report: Report,
): void {
  const capacity = smallestCapacity(key.limits);
  if (capacity >= costliest) return;
  const route = routes.find((candidate) => candidate.cost > capacity && reach.one(key.grants, candidate));
  if (route === undefined) return;
  const message = `The key's limits admit at most ${capacity} at once, but ${quote(route.match)} costs ${route.cost}`;
  report.error(["keys", index, "limits"], message);
}

interface Reach {
  readonly any: (key: Key) => boolean;
  readonly one: (grants: Grants, route: Route) => boolean;
}

/** Which routes a key's grants open; worked out once per distinct grants, which many keys share. */
function createReach(routes: readonly Route[]): Reach {
  const known = new Map<Grants, boolean>();
  const one = (grants: Grants, { access }: Route): boolean => {
    if (access.kind !== "scopes") return access.kind === "authenticated";
    // A derived scope can become many things; a key is said to reach none only when that is certain.
    const holds = access.scopes.map(({ text, parts }) => parts !== undefined || grantsScope(grants, text));
    return access.need === "any" ? holds.includes(true) : !holds.includes(false);
  };
  const any = (key: Key) => {
    const { grants } = key;
    const before = known.get(grants);
    if (before !== undefined) return before;
    const reaches = routes.some((route) => one(grants, route));
    known.set(grants, reaches);
    return reaches;
  };
  return { any, one };
}

const OTHERS_READ = 0o004;
const OTHERS_WRITE = 0o002;

/** Digests are no secrets, but what others may write, others may grant themselves. */
function lintModes({ snapshot }: LintInput, found: Diagnostic[]): void {
  for (const { path, mode } of snapshot.keysFiles) {
    if (mode === undefined || (mode & (OTHERS_READ | OTHERS_WRITE)) === 0) continue;
    const can = mode & OTHERS_WRITE ? "write" : "read";
    const octal = mode.toString(8).padStart(4, "0");
    const message = `Every user of this machine may ${can} the keys file (mode ${octal})`;
    const fix = `chmod 600 ${path}`;
    found.push({ severity: "warning", file: path, line: 0, column: 0, path: "", message, fix });
  }
}
