import { readFileSync } from "node:fs";
import { parse, stringify } from "yaml";
import * as z from "zod";
import { toJsonSchema } from "../src/config/json-schema.ts";

/** The part of JSON Schema that the definition of the config makes use of. */
interface Schema {
  readonly $ref?: string | undefined;
  readonly type?: string | readonly string[] | undefined;
  readonly description?: string | undefined;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[] | undefined;
  readonly minimum?: number | undefined;
  readonly maximum?: number | undefined;
  readonly items?: Schema | undefined;
  readonly anyOf?: readonly Schema[] | undefined;
  readonly properties?: Readonly<Record<string, Schema>> | undefined;
  readonly additionalProperties?: Schema | boolean | undefined;
  readonly required?: readonly string[] | undefined;
}

const schemaShape: z.ZodType<Schema> = z.lazy(() =>
  z.object({
    $ref: z.string().optional(),
    type: z.union([z.string(), z.array(z.string())]).optional(),
    description: z.string().optional(),
    default: z.unknown().optional(),
    const: z.unknown().optional(),
    enum: z.array(z.unknown()).optional(),
    minimum: z.number().optional(),
    maximum: z.number().optional(),
    items: schemaShape.optional(),
    anyOf: z.array(schemaShape).optional(),
    properties: z.record(z.string(), schemaShape).optional(),
    additionalProperties: z.union([z.boolean(), schemaShape]).optional(),
    required: z.array(z.string()).optional(),
  }),
);

/** One field of the language, as the page tells it. */
export interface Field {
  /** `routes[].match`; `*` stands for a name of the writer's own. */
  readonly path: string;
  readonly type: string;
  readonly default: string;
  readonly description: string;
  /** What a complete config says there, in YAML; undefined where none does. */
  readonly example: string | undefined;
  /** Whether fields of its own say the rest, so that it needs no example. */
  readonly hasFields: boolean;
}

const REFERENCE = new URL("../docs/reference/", import.meta.url);

/** Where examples are taken from, the first that has one; every file of them is loaded by a test. */
const EXAMPLES = {
  main: ["complete.yaml", "variant.yaml"],
  keys: ["keys.yaml"],
} as const;

/** Every field of the main file or of keys files, in the order of the schema. */
export function readFields(file: "main" | "keys"): readonly Field[] {
  const { definitions } = z
    .object({ definitions: z.record(z.string(), schemaShape).default({}) })
    .parse(toJsonSchema(file));
  const examples = EXAMPLES[file].map((name): unknown => parse(readFileSync(new URL(name, REFERENCE), "utf8")));
  const fields = new Map<string, Field>();

  const resolve = (schema: Schema): Schema => {
    const name = schema.$ref?.split("/").at(-1);
    const target = name === undefined ? undefined : definitions[name];
    return target === undefined ? schema : { ...target, ...schema, $ref: undefined };
  };
  const formsOf = (schema: Schema): readonly Schema[] => {
    const resolved = resolve(schema);
    return resolved.anyOf === undefined ? [resolved] : resolved.anyOf.flatMap(formsOf);
  };
  const walk = (schema: Schema, path: readonly string[]): void => {
    for (const form of formsOf(schema)) {
      for (const [name, value] of Object.entries(form.properties ?? {})) {
        add([...path, name], value, form.required?.includes(name) ?? false);
      }
      if (form.items !== undefined) walk(form.items, [...path, "[]"]);
      if (typeof form.additionalProperties === "object") walk(form.additionalProperties, [...path, "*"]);
    }
  };
  const add = (path: readonly string[], schema: Schema, required: boolean): void => {
    const shown = path.join(".").replaceAll(".[]", "[]");
    // A limit may stand by itself or in a list of them: its fields are told once.
    const known = [...fields.keys()].some((other) => other.replaceAll("[]", "") === shown.replaceAll("[]", ""));
    const resolved = resolve(schema);
    const found = examples.map((document) => findValue(document, path)).find((value) => value !== undefined);
    const field: Field = {
      path: shown,
      type: [...new Set(formsOf(schema).map((form) => nameType(form, formsOf)))].join(" or "),
      default: nameDefault(resolved.default, required),
      description: resolved.description ?? "",
      example: found === undefined ? undefined : toFlow(found),
      hasFields: formsOf(schema).some(hasOwnFields),
    };
    if (!known) fields.set(shown, field);
    walk(schema, path);
  };
  const hasOwnFields = (form: Schema): boolean =>
    form.properties !== undefined ||
    (form.items !== undefined && formsOf(form.items).some(hasOwnFields)) ||
    (typeof form.additionalProperties === "object" && formsOf(form.additionalProperties).some(hasOwnFields));

  walk(schemaShape.parse(toJsonSchema(file)), []);
  // The records within a main file are those of a keys file, and are told there.
  return [...fields.values()].filter(({ path }) => file === "keys" || !path.startsWith("keys["));
}

/** The page: one table for every field at the top. */
export function toFieldReference(): string {
  const main = readFields("main");
  const tops = main.filter(({ path }) => !/[.[]/.test(path));
  const sections = tops.flatMap(({ path }) => {
    const own = main.filter(
      (field) => field.path === path || field.path.startsWith(`${path}.`) || field.path.startsWith(`${path}[`),
    );
    return toSection(path, own);
  });
  const records = readFields("keys").filter(({ path }) => path.startsWith("keys["));
  return [HEAD, ...sections, ...toSection("A key record", records)].join("\n");
}

const HEAD = `# Every field

Written by \`npm run docs\` from the definition that validates a config, so it names every field and no other; a test fails
when it is out of date. [configuration.md](configuration.md) explains them. The examples stand in
[reference/complete.yaml](reference/complete.yaml), [reference/variant.yaml](reference/variant.yaml) and
[reference/keys.yaml](reference/keys.yaml), which a test loads as the program does.

\`[]\` is every entry of a list, \`*\` a name of your own. Durations, sizes, rates and addresses are
[text](configuration.md#values).
`;

const SHORT = 60;

function toSection(title: string, fields: readonly Field[]): readonly string[] {
  // Where fields of its own follow, they have the examples, unless there is a short one.
  const rows = fields
    .map(({ hasFields, ...field }) => ({
      ...field,
      example: hasFields && (field.example?.length ?? 0) > SHORT ? undefined : field.example,
    }))
    .map(
      ({ path, type, default: standard, description, example }) =>
        `| \`${path}\` | ${escapeText(type)} | ${escapeText(standard)} | ${escapeText(description)} | ${example === undefined ? "" : code(example)} |`,
    );
  return [`## ${title}\n`, "| Field | Type | Default | | Example |", "| --- | --- | --- | --- | --- |", ...rows, ""];
}

function nameType(schema: Schema, formsOf: (schema: Schema) => readonly Schema[]): string {
  if (schema.const !== undefined) return code(JSON.stringify(schema.const));
  if (schema.enum !== undefined) return schema.enum.map((word) => code(String(word))).join(", ");
  switch (schema.type) {
    case "string":
      return "text";
    case "integer":
      return nameRange(schema);
    case "boolean":
      return "true or false";
    case "array": {
      const items =
        schema.items === undefined ? ["anything"] : formsOf(schema.items).map((form) => nameType(form, formsOf));
      return `list of ${[...new Set(items)].join(" or ")}`;
    }
    case "object":
      return schema.properties === undefined ? "map" : "fields";
    case "null":
      return "nothing";
    default:
      return [schema.type ?? "anything"].flat().join(" or ");
  }
}

function nameRange({ minimum, maximum }: Schema): string {
  if (minimum === undefined) return "number";
  return maximum === undefined ? `number from ${minimum}` : `number, ${minimum} to ${maximum}`;
}

function nameDefault(value: unknown, required: boolean): string {
  if (required) return "required";
  const isEmpty = typeof value === "object" && value !== null && Object.keys(value).length === 0;
  return value === undefined || isEmpty ? "" : code(toFlow(value));
}

/** What a document says at a path; entries of lists and names of one's own are tried one after another. */
function findValue(document: unknown, path: readonly string[]): unknown {
  const [step, ...rest] = path;
  if (step === undefined) return document;
  if (typeof document !== "object" || document === null) return undefined;
  const children = Array.isArray(document) || step === "*" ? Object.values(document) : [Reflect.get(document, step)];
  const next = Array.isArray(document) && step !== "[]" ? path : rest;
  return children.map((child: unknown) => findValue(child, next)).find((value) => value !== undefined);
}

function toFlow(value: unknown): string {
  return stringify(value, { collectionStyle: "flow", flowCollectionPadding: false, lineWidth: 0 }).trim();
}

function code(text: string): string {
  return `\`${text.replaceAll("|", "\\|")}\``;
}

function escapeText(text: string): string {
  // Within code a bar is escaped already, and a brace or an asterisk is itself.
  return text.replaceAll(/(`[^`]*`)|([|*<])/g, (_, quoted: string | undefined, sign: string) => quoted ?? `\\${sign}`);
}
