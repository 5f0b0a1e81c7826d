import type { KeyObject } from "node:crypto";
import type { Limit } from "../policy/bucket.ts";
import { type CredentialRules, foldParameter } from "../policy/credential.ts";
import { createPepper } from "../policy/digest.ts";
import type { KeyIndex, KeyTable } from "../policy/key.ts";
import { type KeyFormat, MIN_SECRET_BITS, parseKeyFormat } from "../policy/key-format.ts";
import { openKeyTable } from "../policy/key-table.ts";
import { compileRoutes } from "../policy/route.ts";
import { isPlainScope, type ScopeCatalogue } from "../policy/scope.ts";
import { checkSegment, compileDenials } from "./compile-denials.ts";
import { checkHeaderName, compileIdentity } from "./compile-identity.ts";
import { createKeyCompiler } from "./compile-keys.ts";
import { compileLimits, compileRate, describeBurstFix, exceedsRate, KEY_LIMIT_SCOPE } from "./compile-limits.ts";
import { compileManagement } from "./compile-management.ts";
import { checkMethod } from "./compile-methods.ts";
import { checkScopePart, compileRouteList } from "./compile-routes.ts";
import { compileSettings } from "./compile-settings.ts";
import { findNearest, type Path } from "./diagnostics.ts";
import { defaultKeyFormat } from "./issue-key.ts";
import { createKeyLint, lintMain } from "./lint.ts";
import type { MainLines } from "./main-lines.ts";
import type { RecordBatch } from "./record-batch.ts";
import { createReport, type Findings, type Report } from "./report.ts";
import type { Main } from "./schema.ts";
import type { Configuration } from "./settings.ts";
import type { Surroundings } from "./snapshot.ts";
import { quote, type Rate, toLimit } from "./values.ts";

/** Everything a configuration is compiled from but its key records. Plain data, so that it can come from another thread. */
export interface CompileInput {
  readonly main: Main;
  readonly lines: MainLines;
  readonly around: Surroundings;
  readonly revision: string;
  readonly nowMs: number | undefined;
  /** Whether parts that were invalid by themselves were left out, so that only further errors are wanted. */
  readonly isPartial: boolean;
}

/** A compilation under way. */
export interface Compilation {
  /** Takes the next records; those of a hundred thousand keys come one batch after another. */
  readonly add: (batch: RecordBatch) => void;
  readonly finish: () => Configuration;
}

/** Compiles policy and settings. Whatever only shows when parts meet is added to `found`; with an error there, discard the result. */
export function beginCompilation(input: CompileInput, found: Findings): Compilation {
  const { main, lines, around, nowMs } = input;
  const rest = compileMain(input, found);
  const { routes, formats, defaultLimits } = rest;
  const toLint = { main, mainFile: lines.file, around, routes, formats, defaultLimits, nowMs };
  const keyLint = input.isPartial ? undefined : createKeyLint(toLint);
  const hasPepper = main.hashing.pepper !== undefined;
  const looks = main.keyFormats.length === 0 ? [defaultKeyFormat()] : formats;
  const compiler = createKeyCompiler({ ...rest, formats: looks, hasPepper, lint: keyLint?.look }, found);
  return {
    add: compiler.add,
    finish: () => {
      if (!input.isPartial) lintMain(toLint, found);
      keyLint?.conclude(compiler.hasId, found);
      return rest.join(openKeyTable(compiler.finish(), rest.pepper));
    },
  };
}

/** The configuration that was compiled from `input`, perhaps in another thread, and found to be good with these keys. */
export function assembleConfiguration(input: CompileInput, keys: KeyTable): Configuration {
  const { join, pepper } = compileMain(input, { push: () => {} });
  return join(openKeyTable(keys, pepper));
}

/** All but the keys: some of it is what they are compiled against. */
function compileMain(input: CompileInput, found: Findings) {
  const { main, lines, around } = input;
  const report = createReport(lines.file, found);
  const formats = compileFormats(main, report);
  const segments = choicesOf(formats);
  const catalogue = compileCatalogue(main, report);
  const routes = compileRouteList(main, catalogue, lines, report);
  const operations = compileManagement(main, catalogue, lines, report);
  const max = main.limits.max === undefined ? undefined : compileRate(main.limits.max, report, ["limits", "max"]);
  const defaultLimits = compileDefaultLimits(main, max, report);
  const pepper = compilePepper(main, around, report);
  const join = (keys: KeyIndex): Configuration => {
    const segmentNames = new Set(segments.keys());
    const signingKey = main.identity.assertion && around.referenced.get(`file:${main.identity.assertion.key}`);
    return {
      policy: {
        revision: input.revision,
        httpsRequired: main.listen.https === "required",
        paths: main.paths,
        // The operations come first: a catch-all for the app must not swallow them.
        routes: compileRoutes([...operations.keys(), ...routes]),
        credentials: compileCredentials(main, report),
        keyFormats: formats,
        accept: compileAccept(main, segments, report),
        keys,
        principals: new WeakMap(),
        actions: compileActions(main, report),
        failureLimit: compileFailureLimit(main, report),
      },
      settings: {
        ...compileSettings(main, around, report),
        operations,
        denials: compileDenials(main, segmentNames, report),
        identity: compileIdentity(main, signingKey, segmentNames, report),
      },
    };
  };
  return { formats, catalogue, routes, max, defaultLimits, pepper, join };
}

function compileFormats(main: Main, report: Report): readonly KeyFormat[] {
  return main.keyFormats.flatMap((text, index) => {
    const path = ["keyFormats", index];
    const parsed = parseKeyFormat(text);
    if (parsed.kind === "problem") {
      report.error(path, `Invalid key format: ${parsed.problem}`);
      return [];
    }
    const { secretBits } = parsed.format;
    if (secretBits < MIN_SECRET_BITS) {
      const message = `The format has ${Math.floor(secretBits)} bits of secret, under ${MIN_SECRET_BITS}`;
      if (index === 0) report.error(path, `${message}; the first format generates keys, so it must have enough`);
      else report.warning(path, `${message}; such keys can be guessed in the long run`);
    }
    if (main.keyFormats.indexOf(text) < index) report.warning(path, "The same format stands twice");
    return [parsed.format];
  });
}

/** The named choices of all formats, with every value each may have. */
function choicesOf(formats: readonly KeyFormat[]): ReadonlyMap<string, ReadonlySet<string>> {
  const choices = new Map<string, Set<string>>();
  for (const segment of formats.flatMap((format) => format.segments)) {
    if (segment.kind !== "choice") continue;
    const values = choices.get(segment.name) ?? new Set();
    for (const value of segment.values) values.add(value);
    choices.set(segment.name, values);
  }
  return choices;
}

function compileAccept(
  main: Main,
  choices: ReadonlyMap<string, ReadonlySet<string>>,
  report: Report,
): ReadonlyMap<string, ReadonlySet<string>> {
  for (const [name, values] of Object.entries(main.accept)) {
    const path = ["accept", name];
    const known = choices.get(name);
    if (known === undefined) checkSegment(name, new Set(choices.keys()), report, path);
    else if (values.length === 0) report.error(path, "Expected at least one value; with none every key is refused");
    else {
      for (const [index, value] of values.entries()) {
        if (known.has(value)) continue;
        const nearest = findNearest(value, known);
        const fix = nearest === undefined ? undefined : `Did you mean ${nearest}?`;
        report.error([...path, index], `No key format has ${name} "${value}"; expected ${[...known].join(", ")}`, fix);
      }
    }
  }
  return new Map(Object.entries(main.accept).map(([name, values]) => [name, new Set(values)]));
}

function compileCatalogue(main: Main, report: Report): ScopeCatalogue | undefined {
  if (main.scopes === undefined) return undefined;
  const catalogue = new Map(Object.entries(main.scopes).map(([name, entry]) => [name, entry?.implies ?? []]));
  for (const [name, implies] of catalogue) {
    const path = ["scopes", name];
    if (!isPlainScope(name)) {
      report.error(path, "Expected a scope without wildcards or blanks, such as orders:read");
    }
    for (const [index, implied] of implies.entries()) {
      if (catalogue.has(implied)) continue;
      const nearest = findNearest(implied, catalogue.keys());
      const fix = nearest === undefined ? undefined : `Did you mean ${nearest}?`;
      report.error([...path, "implies", index], `Scope "${implied}" is not in the catalogue`, fix);
    }
  }
  return catalogue;
}

/** Without a default, `max` is one: a key that asks for nothing must not get more than a key may ask for. */
function compileDefaultLimits(main: Main, max: Rate | undefined, report: Report): readonly Limit[] {
  const written = main.limits.default;
  if (written === undefined) return max === undefined ? [] : [toLimit(max, KEY_LIMIT_SCOPE)];
  const path = ["limits", "default"];
  const limits = compileLimits(written, KEY_LIMIT_SCOPE, report, path);
  if (max !== undefined && exceedsRate(limits, max)) {
    report.error(path, `The default allows more than limits.max (${max.text})`, describeBurstFix(limits, max));
  }
  return limits;
}

function compileFailureLimit(main: Main, report: Report): Limit | undefined {
  if (main.limits.failures === "off") return undefined;
  const rate = compileRate(main.limits.failures, report, ["limits", "failures"]);
  return rate === undefined ? undefined : toLimit(rate, "failures");
}

// What hashcat does to an eight-character pepper in a minute it cannot do to sixteen.
const MIN_PEPPER_BYTES = 16;

function compilePepper(main: Main, around: Surroundings, report: Report): KeyObject | undefined {
  const pepper = main.hashing.pepper;
  if (pepper === undefined) return undefined;
  const { file, env } = pepper;
  if ((file === undefined) === (env === undefined)) {
    const found = file === undefined ? "none" : "both";
    report.error(["hashing", "pepper"], `Expected exactly one of file or env; found ${found}`);
    return undefined;
  }
  const name = file === undefined ? `env:${env}` : `file:${file}`;
  // Editors and `echo` end a file with a newline that nobody means to be part of the secret.
  const text = around.referenced.get(name)?.replace(/\r?\n$/, "");
  if (text === undefined) return undefined;
  const bytes = Buffer.from(text, "utf8");
  if (bytes.byteLength < MIN_PEPPER_BYTES) {
    report.error(
      ["hashing", "pepper"],
      `The pepper is ${bytes.byteLength} bytes long; expected at least ${MIN_PEPPER_BYTES}`,
    );
    return undefined;
  }
  return createPepper(bytes);
}

/** Query parameters that mean a key whatever the headers are called. */
const URL_PARAMETERS: readonly string[] = ["apikey", "xapikey", "accesstoken"];

function compileCredentials(main: Main, report: Report): CredentialRules {
  const { locations, inUrl, forward } = main.credentials;
  const path = ["credentials", "locations"];
  if (locations.length === 0) report.error(path, "Expected at least one place where a key may be presented");
  const names = new Set<string>();
  for (const [index, { header, scheme }] of locations.entries()) {
    const name = `${header}: ${scheme ?? ""}`.toLowerCase();
    if (names.has(name)) report.error([...path, index], "The same place stands twice");
    names.add(name);
    checkHeaderName(header, new Map(), report, [...path, index, "header"]);
    checkPlace(header, scheme, report, [...path, index]);
    if (scheme !== undefined && !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(scheme)) {
      report.error([...path, index, "scheme"], "Expected the name of an authentication scheme, such as Bearer");
    }
  }
  return {
    locations: locations.map(({ header, scheme }) => ({
      name: header,
      header: header.toLowerCase(),
      scheme: scheme?.toLowerCase(),
      label: scheme === undefined ? `${header} header` : `${header} header as ${scheme}`,
    })),
    inUrl,
    forward,
    urlParameters: new Set([
      ...URL_PARAMETERS,
      ...locations.map(({ header }) => foldParameter(header)).filter((name) => name !== "authorization"),
    ]),
  };
}

/** People write where a key is, and then its name; here a header stands first, and then a scheme. */
function checkPlace(header: string, scheme: string | undefined, report: Report, path: Path): void {
  if (scheme === undefined || !/^(?:header|query|cookie|body)$/i.test(header)) return;
  const fix = header.toLowerCase() === "header" ? `Write ${scheme}` : "Keys are read from headers only";
  report.warning(path, `This is the header ${quote(header)} with the scheme ${quote(scheme)}`, fix);
}

const DEFAULT_ACTIONS: Readonly<Record<string, string>> = {
  GET: "read",
  HEAD: "read",
  POST: "create",
  PUT: "update",
  PATCH: "update",
  DELETE: "delete",
};

function compileActions({ actions }: Main, report: Report): ReadonlyMap<string, string> {
  for (const [method, action] of Object.entries(actions)) {
    checkMethod(method, report, ["actions", method]);
    checkScopePart(action, report, ["actions", method]);
  }
  // RFC 9110 §9.3.2: HEAD is GET without the content, whatever GET is called here.
  const head = actions["HEAD"] ?? actions["GET"];
  return new Map(Object.entries({ ...DEFAULT_ACTIONS, ...actions, ...(head === undefined ? {} : { HEAD: head }) }));
}
