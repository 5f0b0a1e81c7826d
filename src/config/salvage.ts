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
  const [field, index] = path;
  const isRoute = field === "routes";
  if ((isRoute || (field === "keys" && part === "value")) && typeof index === "number") {
    replace(root, field, index, isRoute ? STAND_IN_ROUTE : toStandInKey(index));
    return path.slice(0, 2);
  }
  const removed = part === "name" ? path : path.slice(0, depth);
  remove(root, removed);
  return removed;
}

/** Whether a path lies within what is missing, or around it. */
export function concerns(path: string, missing: readonly Path[]): boolean {
  return missing.some((gap) => {
    const [short, long] = [path, formatPath(gap)].toSorted((a, b) => a.length - b.length);
    return short && long?.startsWith(short) && /^(?:$|[.[])/.test(long.slice(short.length));
  });
}

// Entries keep their positions, which paths and lines are told by, so a faulty one gives way to a harmless one.
const STAND_IN_ROUTE = { match: "GET /", public: true };

function toStandInKey(index: number) {
  return { id: `faulty-${index}`, hash: `sha256:${index.toString(16).padStart(64, "0")}`, status: "revoked" };
}

function remove(root: unknown, path: Path): void {
  const parent = path.slice(0, -1).reduce(memberOf, root);
  const name = path.at(-1);
  if (typeof parent === "object" && parent !== null && name !== undefined) Reflect.deleteProperty(parent, name);
}

function replace(root: unknown, field: string, index: number, standIn: object): void {
  const list = memberOf(root, field);
  if (Array.isArray(list)) list[index] = standIn;
}

function memberOf(value: unknown, step: string | number): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, step) : undefined;
}
