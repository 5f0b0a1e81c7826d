import { basename, resolve } from "node:path";
import type { Limit } from "../policy/bucket.ts";
import type { Key } from "../policy/key.ts";
import type { KeyFormat } from "../policy/key-format.ts";
import { compileNetworks, type NetworkSet, parseAddress, parseNetwork } from "../policy/network.ts";
import type { Route } from "../policy/route.ts";
import { type Grants, grantsScope } from "../policy/scope.ts";
import { smallestCapacity } from "./compile-limits.ts";
import { choicesOf } from "./issue-key.ts";
import { findShadowed } from "./lint-routes.ts";
import { createReport, type Findings, type Report } from "./report.ts";
import type { Main } from "./schema.ts";
import type { SocketAddress } from "./settings.ts";
import type { Surroundings } from "./snapshot.ts";
import { DEFAULT_ADMIN, quote } from "./values.ts";

/** What the lint rules look at: parts that are each valid, but perhaps not what was meant together. */
export interface LintInput {
  readonly main: Main;
  readonly mainFile: string;
  readonly around: Surroundings;
  readonly routes: readonly Route[];
  readonly formats: readonly KeyFormat[];
  readonly defaultLimits: readonly Limit[];
  /** Undefined: nothing is said of expiry. */
  readonly nowMs: number | undefined;
}

/** Looks at the keys one by one, as they are compiled. */
export interface KeyLint {
  readonly look: (key: Key, index: number, report: Report) => void;
  /** What only shows when all keys are known. */
  readonly conclude: (hasId: (id: string) => boolean, found: Findings) => void;
}

/** Adds what can never have been meant, as errors, and what is most likely a slip, as warnings. */
export function lintMain(input: LintInput, found: Findings): void {
  const report = createReport(input.mainFile, found);
  lintRoutes(input, report);
  lintCosts(input, report);
  lintAdmin(input, report);
  lintShadow(input, report);
  lintModes(input, found);
}

function lintShadow({ main, mainFile, around }: LintInput, report: Report): void {
  if (main.shadow === undefined) return;
  const isItself = resolve(around.directory, main.shadow) === resolve(around.directory, basename(mainFile));
  if (isItself) report.warning(["shadow"], "The candidate is this file itself, so nothing can differ");
}

function lintRoutes({ main, routes }: LintInput, report: Report): void {
  if (main.routes.length === 0) {
    report.warning(["routes"], "There are no routes, so every request is refused", 'Begin with match: "* /**"');
  }
  // With a route left out for its errors the positions no longer agree, and those errors come first.
  if (routes.length !== main.routes.length) return;
  for (const { index, by } of findShadowed(routes)) {
    const names = by.map((earlier) => nameRoute(earlier, routes[earlier]));
    const match = names.length === 1 ? "matches" : "together match";
    report.warning(["routes", index], `The route can never match: ${names.join(" and ")} ${match} everything it would`);
  }
}

function nameRoute(index: number, route: Route | undefined): string {
  return route === undefined
    ? `routes[${index}]`
    : `routes[${index}] (${quote(route.match)}, line ${route.source.line})`;
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
  lintAuthorizer(main, report);
  if (admin === undefined || !collide(listen.address, admin.address)) return;
  // Blamed is the one that stands in the file; both may.
  const path = isDefaultAdmin(admin.address) ? ["listen", "address"] : ["admin", "address"];
  report.error(path, "The admin port has the same address as listen; expected another");
}

function isDefaultAdmin(address: SocketAddress): boolean {
  return address.kind === "tcp" && `${address.host}:${address.port}` === DEFAULT_ADMIN;
}

/** Whether two listeners cannot both have what they ask for: the same address, or one of them every address. */
function collide(one: SocketAddress, other: SocketAddress): boolean {
  if (one.kind === "unix" || other.kind === "unix") {
    return one.kind === "unix" && other.kind === "unix" && one.path === other.path;
  }
  // Of port 0 each gets another.
  if (one.port !== other.port || one.port === 0) return false;
  return one.host === other.host || covers(one.host, other.host) || covers(other.host, one.host);
}

/** Whether listening on a host takes the port of another: `::` is every address, of IPv4 too. */
function covers(host: string, other: string): boolean {
  const [all, one] = [parseAddress(host), parseAddress(other)];
  if (all?.text === "::" || all?.text === one?.text) return all !== undefined;
  return all?.text === "0.0.0.0" && one?.family !== "ipv6";
}

/** On loopback only this machine can ask, so gateways elsewhere would find nobody. */
function lintAuthorizer({ admin }: Main, report: Report): void {
  const ranges = admin?.authorizer?.trustedPeers ?? [];
  if (admin === undefined || ranges.length === 0 || admin.address.kind !== "tcp") return;
  const address = parseAddress(admin.address.host === "localhost" ? "127.0.0.1" : admin.address.host);
  const loopback = compileNetworks(["127.0.0.0/8", "::1"]);
  if (address === undefined || !loopback.contains(address)) return;
  const peers = compileNetworks(ranges);
  const canAsk = ["127.0.0.1", "::1"].flatMap((text) => parseAddress(text) ?? []).some(peers.contains);
  if (canAsk || ranges.some((range) => isLoopback(range, loopback))) return;
  report.warning(
    ["admin", "authorizer"],
    `The admin port listens on ${admin.address.host}, where no gateway of admin.authorizer.trustedPeers can ask`,
    'Write admin.address: "0.0.0.0:9090", or name 127.0.0.1 as a trusted peer',
  );
}

function isLoopback(range: string, loopback: NetworkSet): boolean {
  const network = parseNetwork(range);
  return network !== undefined && loopback.contains(network.address);
}

/** A key that names its successor, which may stand further down. */
interface Rotated {
  readonly to: string;
  readonly file: string;
  readonly index: number;
  readonly isItself: boolean;
}

export function createKeyLint({ main, routes, formats, defaultLimits, nowMs }: LintInput): KeyLint {
  const starts = formats.map(({ prefix }) => prefix);
  const reach = createReach(routes);
  const costliest = Math.max(1, ...routes.map(({ cost }) => cost));
  const expired = createTally();
  const foreign = createTally();
  const idle = createTally();
  const rotated: Rotated[] = [];
  return {
    look: (key, index, report) => {
      lintPrefix(key, index, starts, report);
      if (key.rotatedTo !== undefined) {
        rotated.push({ to: key.rotatedTo, file: key.source.file, index, isItself: key.rotatedTo === key.id });
      }
      if (key.status === "revoked") return;
      if (isForeign(key, formats, main.accept)) foreign.count(key, index);
      if (nowMs !== undefined && key.expiresAtMs !== undefined && key.expiresAtMs <= nowMs) {
        expired.count(key, index);
        return;
      }
      if (routes.length > 0 && !reach.any(key)) idle.count(key, index);
      // Of a default that is too small `lintCosts` speaks, once.
      if (key.limits !== defaultLimits) lintKeyCost(key, index, costliest, routes, reach, report);
    },
    conclude: (hasId, found) => {
      for (const { to, file, index, isItself } of rotated) {
        const message = isItself ? "The key names itself as its successor" : `No key has the id ${quote(to)}`;
        if (isItself || !hasId(to)) createReport(file, found).warning(["keys", index, "rotatedTo"], message);
      }
      expired.tell(found, "expiresAt", { one: "has expired", many: "have expired" });
      foreign.tell(found, "prefix", {
        one: "says by its prefix that it is for another instance: accept refuses it",
        many: "say by their prefixes that they are for another instance: accept refuses them",
      });
      const reachNothing = "the scopes of no route, so";
      idle.tell(found, "scopes", {
        one: `has ${reachNothing} it can call nothing`,
        many: `have ${reachNothing} they can call nothing`,
      });
    },
  };
}

/** Whether all that the prefix may begin are keys that this instance refuses by their text. */
function isForeign({ prefix }: Key, formats: readonly KeyFormat[], accept: Main["accept"]): boolean {
  const accepted = Object.entries(accept);
  if (prefix === undefined || accepted.length === 0) return false;
  const fitting = formats.flatMap((format) => choicesOf(prefix, format) ?? []);
  return (
    fitting.length > 0 && fitting.every((choices) => accepted.some(([name, values]) => refuses(choices, name, values)))
  );
}

function refuses(choices: ReadonlyMap<string, string>, name: string, values: readonly string[]): boolean {
  const value = choices.get(name);
  return value !== undefined && !values.includes(value);
}

/** A bcrypt record whose prefix no format begins with is never looked at. */
function lintPrefix({ prefix, digest }: Key, index: number, starts: readonly string[], report: Report): void {
  if (starts.length === 0 || prefix === undefined || digest.kind !== "bcrypt") return;
  if (starts.some((start) => start.startsWith(prefix) || prefix.startsWith(start))) return;
  const message = `No key format begins with ${quote(prefix)}, so this key can never match`;
  report.warning(["keys", index, "prefix"], message);
}

/** Counts keys of which the same is to be said: one warning a file, since where there are many there are soon more. */
interface Tally {
  readonly count: (key: Key, index: number) => void;
  readonly tell: (found: Findings, field: string, said: { readonly one: string; readonly many: string }) => void;
}

function createTally(): Tally {
  const files = new Map<string, { readonly index: number; readonly id: string; more: number }>();
  return {
    count: ({ id, source }, index) => {
      const first = files.get(source.file);
      if (first === undefined) files.set(source.file, { index, id, more: 0 });
      else first.more += 1;
    },
    tell: (found, field, { one, many }) => {
      for (const [file, { index, id, more }] of files) {
        const message =
          more === 0 ? `Key ${quote(id)} ${one}` : `Key ${quote(id)} and ${more} more of this file ${many}`;
        createReport(file, found).warning(["keys", index, field], message);
      }
    },
  };
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
function lintModes({ around }: LintInput, found: Findings): void {
  for (const { path, mode } of around.keysFiles) {
    if (mode === undefined || (mode & (OTHERS_READ | OTHERS_WRITE)) === 0) continue;
    const can = mode & OTHERS_WRITE ? "write" : "read";
    const octal = mode.toString(8).padStart(4, "0");
    const message = `Every user of this machine may ${can} the keys file (mode ${octal})`;
    createReport(path, found).warning([], message, `chmod 600 ${path}`);
  }
}
