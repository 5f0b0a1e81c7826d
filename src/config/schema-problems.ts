import type * as z from "zod";
import { type Diagnostic, findNearest, formatPath, type Path } from "./diagnostics.ts";
import type { Document } from "./document.ts";
import { quote } from "./values.ts";

type Issue = z.core.$ZodIssue;

export type Validated<T> =
  | { readonly kind: "valid"; readonly value: T }
  | { readonly kind: "invalid"; readonly diagnostics: readonly Diagnostic[]; readonly faults: readonly Fault[] };

/** A place at which a value does not fit its schema. */
export interface Fault {
  readonly path: Path;
  /** Whether the name itself is what does not fit. */
  readonly part: "value" | "name";
}

/** Checks a document against a schema: its value, or every problem with its place, expectation and nearest name. */
export function validate<T extends z.ZodType>(document: Document, schema: T): Validated<z.output<T>> {
  const { keys } = Object(document.value) as { readonly keys?: unknown };
  // The library compiles code for each map of fields at its first use, which pays for a list of records. Of all else a
  // file has one.
  const result = schema.safeParse(document.value, { jitless: !Array.isArray(keys) });
  if (result.success) return { kind: "valid", value: result.data };
  const faults = result.error.issues.flatMap((issue) => flatten(issue, []));
  const slips = findSlips(faults, schema);
  const news = faults.filter(({ path, part }) => part === "name" || !slips.has(formatPath(path)));
  return { kind: "invalid", diagnostics: news.map((fault) => toDiagnostic(fault, document, schema)), faults };
}

/** Paths of fields that were meant by a misspelt name: the slip is reported, not also that they are missing. */
function findSlips(faults: readonly Fault[], schema: z.ZodType): ReadonlySet<string> {
  const slips = new Set<string>();
  for (const { path, part } of faults) {
    if (part !== "name") continue;
    const parent = path.slice(0, -1);
    const meant = findNearest(String(path.at(-1)), fieldsAt(schema, parent));
    if (meant !== undefined) slips.add(formatPath([...parent, meant]));
  }
  return slips;
}

interface FlatIssue extends Fault {
  readonly issue: Issue;
  /** What the branches of a union expected, when the value fits none of them even by type. */
  readonly expected: readonly string[];
}

function flatten(issue: Issue, parent: Path): readonly FlatIssue[] {
  const path = [...parent, ...issue.path.map((step) => (typeof step === "symbol" ? String(step) : step))];
  switch (issue.code) {
    case "invalid_union":
      return flattenUnion(issue.errors, path, issue);
    case "unrecognized_keys":
      return issue.keys.map((key) => ({ path: [...path, key], part: "name", issue, expected: [] }));
    case "invalid_key":
      return issue.issues.map((inner) => ({ path, part: "name", issue: inner, expected: [] }));
    default:
      return [{ path, part: "value", issue, expected: [] }];
  }
}

/**
 * A short form stands beside its long one as a union. The author meant the branch whose type the value
 * has; among several such, the one that got furthest.
 */
function flattenUnion(branches: readonly (readonly Issue[])[], path: Path, union: Issue): readonly FlatIssue[] {
  const flat = branches.map((issues) => issues.flatMap((issue) => flatten(issue, path)));
  const meant = flat.filter((issues) => issues.length > 0 && !issues.some((issue) => isOtherType(issue, path)));
  const best = meant.toSorted((a, b) => depthOf(b) - depthOf(a) || a.length - b.length)[0];
  if (best !== undefined) return best;
  const expected = flat.flat().flatMap((issue) => (isOtherType(issue, path) ? toExpectations(issue) : []));
  return [{ path, part: "value", issue: union, expected: [...new Set(expected)] }];
}

function isOtherType({ path, issue, part }: FlatIssue, at: Path): boolean {
  const isHere = path.length === at.length && part === "value";
  return isHere && (issue.code === "invalid_type" || issue.code === "invalid_value" || issue.code === "invalid_union");
}

function depthOf(issues: readonly FlatIssue[]): number {
  return Math.max(...issues.map(({ path, part }) => path.length - (part === "name" ? 1 : 0)));
}

const TYPE_WORDS: ReadonlyMap<string, string> = new Map([
  ["string", "text"],
  ["number", "a number"],
  ["int", "a whole number"],
  ["boolean", "true or false"],
  ["array", "a list"],
  ["object", "a map of fields"],
  ["record", "a map of names"],
  ["null", "nothing"],
]);

function toExpectations({ issue, expected }: FlatIssue): readonly string[] {
  if (issue.code === "invalid_type") return [TYPE_WORDS.get(issue.expected) ?? issue.expected];
  if (issue.code === "invalid_value") return issue.values.map((value) => String(value));
  return expected;
}

function toDiagnostic({ path, part, issue, expected }: FlatIssue, document: Document, schema: z.ZodType): Diagnostic {
  const found = valueAt(document.value, path);
  const isMissing = found === undefined;
  const place = document.locate(isMissing && part === "value" ? path.slice(0, -1) : path, part);
  const { message, fix } = describe(issue, expected, path, part, found, schema);
  const base = {
    severity: "error",
    file: document.file,
    line: place?.line ?? 0,
    column: place?.column ?? 0,
    path: formatPath(path),
    message,
  } as const;
  return fix === undefined ? base : { ...base, fix };
}

interface Description {
  readonly message: string;
  readonly fix?: string | undefined;
}

function describe(
  issue: Issue,
  expected: readonly string[],
  path: Path,
  part: "value" | "name",
  found: unknown,
  schema: z.ZodType,
): Description {
  if (issue.code === "unrecognized_keys") return describeUnknown(path, schema);
  if (part === "name") return { message: issue.message };
  // A schema that words its own expectation knows better than its type does.
  const isOwn = !issue.message.startsWith("Invalid input");
  if (found !== undefined && isOwn && (issue.code === "invalid_type" || issue.code === "invalid_union")) {
    return {
      message: issue.message.includes("; found ") ? issue.message : `${issue.message}, found ${nameType(found)}`,
    };
  }
  switch (issue.code) {
    case "invalid_union":
      if (found === undefined) return { message: `Required field is missing; expected ${toList(expected)}` };
      return { message: `Expected ${toList(expected)}, found ${nameType(found)}` };
    case "invalid_type": {
      const wanted = TYPE_WORDS.get(issue.expected) ?? issue.expected;
      if (found === undefined) return { message: `Required field is missing; expected ${wanted}` };
      if (issue.expected === "int") return { message: `Expected ${wanted}${sayFound(found, path)}` };
      if (typeof found === "string" && /\.(?:ya?ml|json)$/i.test(found) && path[0] === "keys" && path.length === 2) {
        return { message: `Expected ${wanted}, found text`, fix: "Files are named as keys: { files: [keys.yaml] }" };
      }
      const quoting = issue.expected === "string" && (typeof found === "number" || typeof found === "boolean");
      const fix = quoting && !isSecret(path) ? `Write it in quotes: "${String(found)}"` : undefined;
      return { message: `Expected ${wanted}, found ${nameType(found)}`, fix };
    }
    case "invalid_value": {
      const values = issue.values.map((value) => String(value));
      const nearest = typeof found === "string" ? findNearest(found, values) : undefined;
      const fix = nearest === undefined ? undefined : `Did you mean ${nearest}?`;
      return { message: `Expected ${toList(values)}${sayFound(found, path)}`, fix };
    }
    case "too_small":
      return { message: `Expected ${sayBound(issue.origin, "at least", issue.minimum)}${sayFound(found, path)}` };
    case "too_big":
      return { message: `Expected ${sayBound(issue.origin, "at most", issue.maximum)}${sayFound(found, path)}` };
    default:
      return { message: issue.message };
  }
}

function sayBound(origin: string, bound: string, limit: number | bigint): string {
  if (origin === "string") return limit === 1 ? "text that is not empty" : `${bound} ${limit} characters`;
  if (origin === "array") return `${bound} ${limit} entries`;
  return `${origin === "int" ? "a whole number" : "a number"} of ${bound} ${limit}`;
}

// A value under such a name is described, never repeated: it may be the very thing to keep secret.
const SECRET_NAME = /hash|key|secret|token|pepper|password|credential/i;

function sayFound(found: unknown, path: Path): string {
  if (typeof found === "string") return isSecret(path) ? ", found other text" : `, found ${quote(found)}`;
  return typeof found === "number" || typeof found === "boolean" ? `, found ${found}` : `, found ${nameType(found)}`;
}

/** Whether the value there may be what is to be kept secret. */
export function isSecret(path: Path): boolean {
  return path.some((step) => typeof step === "string" && SECRET_NAME.test(step) && step !== "keys");
}

function nameType(found: unknown): string {
  if (found === undefined || found === null) return "nothing";
  if (Array.isArray(found)) return "a list";
  switch (typeof found) {
    case "string":
      return "text";
    case "number":
      return "a number";
    case "boolean":
      return String(found);
    default:
      return "a map of fields";
  }
}

function toList(words: readonly string[]): string {
  if (words.length < 2) return words[0] ?? "another value";
  return `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

// Fields people write into a record in the hope that Latchkey keeps the key for them.
const PLAIN_SECRET_NAMES: ReadonlySet<string> = new Set(
  "key apikey secret token value plaintext credential password rawkey plain".split(" "),
);

function describeUnknown(path: Path, schema: z.ZodType): Description {
  const name = String(path.at(-1));
  const known = fieldsAt(schema, path.slice(0, -1));
  const nearest = findNearest(name, known);
  if (known.has("hash") && PLAIN_SECRET_NAMES.has(name.toLowerCase().replace(/[_-]/g, ""))) {
    return {
      message: `A record never holds the key itself; unknown field ${quote(name)}`,
      fix: "Replace it by `hash: sha256:…`, which `latchkey keys hash` makes, and rotate the key if others could read this",
    };
  }
  if (nearest !== undefined) return { message: `Unknown field ${quote(name)}`, fix: `Did you mean ${nearest}?` };
  const names = [...known].filter((field) => field !== "$schema");
  return { message: `Unknown field ${quote(name)}; expected ${toList(names)}` };
}

/** The names allowed at a path, whichever branch of a union they belong to. */
function fieldsAt(schema: z.core.$ZodType, path: Path): ReadonlySet<string> {
  const here = alternatives(schema);
  const [step, ...rest] = path;
  const fields = new Set<string>();
  for (const { _zod } of here) {
    const { def } = _zod as z.core.$ZodTypes["_zod"];
    if (def.type === "object") {
      if (step === undefined) for (const name of Object.keys(def.shape)) fields.add(name);
      const member = typeof step === "string" ? def.shape[step] : undefined;
      if (member !== undefined) for (const name of fieldsAt(member, rest)) fields.add(name);
    } else if (def.type === "array" && step !== undefined) {
      for (const name of fieldsAt(def.element, rest)) fields.add(name);
    } else if (def.type === "record") {
      if (step === undefined) for (const name of def.keyType._zod.values ?? []) fields.add(String(name));
      else for (const name of fieldsAt(def.valueType, rest)) fields.add(name);
    }
  }
  return fields;
}

/** A schema without its wrappers: the plain types a value may have. */
function alternatives(schema: z.core.$ZodType): readonly z.core.$ZodType[] {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  switch (def.type) {
    case "optional":
    case "default":
    case "prefault":
      return alternatives(def.innerType);
    case "pipe":
      return alternatives(def.in);
    case "union":
      return def.options.flatMap((option) => alternatives(option));
    default:
      return [schema];
  }
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Readonly<Record<string | number, unknown>>)[step];
  }
  return value;
}
