import type * as z from "zod";
import { formatPath, type Path } from "./diagnostics.ts";
import type { Fault } from "./schema-problems.ts";

/** What is left of an invalid document once its faults are taken out. */
export interface Salvaged<T> {
  readonly value: T;
  /** What was taken out; what later checks say of these is a consequence, not news. */
  readonly missing: readonly Path[];
}

// What depends on these would be called wrong although it is not.
const FOUNDATIONS: ReadonlySet<string | number> = new Set(["keyFormats", "hashing"]);

/**
 * Takes the faults out of a document, so that the checks that need a valid one can still look at the rest
 * and all errors are shown at once. Undefined when what is left would mislead them.
 */
export function salvage<T extends z.ZodType>(
  document: unknown,
  schema: T,
  faults: readonly Fault[],
): Salvaged<z.output<T>> | undefined {
  if (faults.some(({ path }) => path[0] === undefined || FOUNDATIONS.has(path[0]))) return undefined;
  // First only what is wrong; where that leaves a gap of its own, the whole top-level field.
  for (const depth of [Number.POSITIVE_INFINITY, 1]) {
    const value: unknown = structuredClone(document);
    const missing = faults.map((fault) => takeOut(value, fault, depth));
    const result = schema.safeParse(value);
    if (result.success) return { value: result.data, missing };
  }
  return undefined;
}

/** Takes one fault out and returns the path of what is now missing. */
function takeOut(root: unknown, { path, part }: Fault, depth: number): Path {
  const [list, index, field] = path;
  const isEntry = (list === "routes" || list === "keys") && typeof index === "number";
  const removed = part === "name" ? path : path.slice(0, isEntry ? 3 : depth);
  const standIn = list === "routes" ? STAND_IN_ROUTE : toStandInKey(Number(index));
  if (isEntry && (field === undefined || (list === "routes" && !SINGLE_FIELDS.has(field)))) {
    // Entries keep their positions, which paths and lines are told by, so a faulty one gives way to a harmless one.
    Reflect.set(Object(memberOf(root, list)), index, standIn);
    return path.slice(0, 2);
  }
  const parent = removed.slice(0, -1).reduce(memberOf, root);
  const name = removed.at(-1);
  if (typeof parent !== "object" || parent === null || name === undefined) return removed;
  if (isEntry && Object.hasOwn(standIn, name)) Reflect.set(parent, name, memberOf(standIn, name));
  else Reflect.deleteProperty(parent, name);
  return removed;
}

// Fields of a route that can be absent without making the route another one.
const SINGLE_FIELDS: ReadonlySet<string | number> = new Set([
  "aliases",
  "cost",
  "limits",
  "allowIps",
  "allowMethodOverride",
]);

const STAND_IN_ROUTE = { match: "GET /", public: true };

function toStandInKey(index: number) {
  return { id: `faulty-${index}`, hash: `sha256:${index.toString(16).padStart(64, "0")}`, status: "revoked" };
}

/** Tells whether a path, as a diagnostic writes it, lies within what is missing, or around it. */
export function createConcern(missing: readonly Path[]): (path: string) => boolean {
  const within = new Set(missing.map(formatPath));
  const around = new Set(missing.flatMap((path) => path.map((_, length) => formatPath(path.slice(0, length)))));
  return (path) => around.has(path) || ancestorsOf(path).some((ancestor) => within.has(ancestor));
}

/** A written path and all it lies within: `a[0].b`, `a[0]`, `a`. */
function ancestorsOf(path: string): readonly string[] {
  return [path, ...Array.from(path.matchAll(/[.[]/g), ({ index }) => path.slice(0, index))];
}

function memberOf(value: unknown, step: string | number): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, step) : undefined;
}
