import { stringify } from "yaml";

/** A field of a key record as it is written to a file. */
export type FieldValue = string | number | boolean | readonly string[] | Readonly<Record<string, string>>;

/** Fields in the order they are written; undefined ones are left out. */
export type KeyFields = Readonly<Record<string, FieldValue | undefined>>;

/** What can be written inside brackets: a field, a record, a list of records. */
export type FlowValue = FieldValue | KeyFields | readonly KeyFields[];

/** The fields one per line, as in a YAML block mapping. Lists and maps stand in brackets, as the docs show them. */
export function toBlockLines(fields: KeyFields): readonly string[] {
  return definedEntries(fields).map(([name, value]) => `${toName(name, "yaml")}: ${toBlockText(value)}`);
}

/** A value as it may stand after `name: ` in a YAML block mapping. */
function toBlockText(value: FieldValue): string {
  if (typeof value !== "string") return toFlowText(value, "yaml");
  // A line break would make the library choose a block scalar, which needs the indentation of its place.
  return /[\r\n]/.test(value) ? JSON.stringify(value) : stringify(value, { lineWidth: 0 }).trimEnd();
}

/** A value on one line, valid inside brackets; in JSON every name is quoted. */
export function toFlowText(value: FlowValue, kind: "yaml" | "json"): string {
  if (typeof value !== "object") return JSON.stringify(value);
  if (isList(value)) return `[${value.map((item) => toFlowText(item, kind)).join(", ")}]`;
  const members = definedEntries(value).map(([name, member]) => `${toName(name, kind)}: ${toFlowText(member, kind)}`);
  return members.length === 0 ? "{}" : `{ ${members.join(", ")} }`;
}

/** A value over several lines of JSON, every line after the first behind `indent`. */
export function toJsonLines(value: FlowValue, indent: string, unit: string, lineBreak: string): string {
  return JSON.stringify(value, null, unit).replaceAll("\n", lineBreak + indent);
}

/** The new text of a scalar, quoted as the old one was. */
export function requote(value: FieldValue, oldType: string | undefined): string {
  if (typeof value !== "string") return toBlockText(value);
  if (oldType === "QUOTE_DOUBLE") return JSON.stringify(value);
  if (oldType === "QUOTE_SINGLE" && !/[\r\n]/.test(value)) return `'${value.replaceAll("'", "''")}'`;
  return toBlockText(value);
}

/** The fields that have a value. */
export function definedFields(fields: KeyFields): KeyFields {
  return Object.fromEntries(definedEntries(fields));
}

function definedEntries(fields: KeyFields): readonly (readonly [string, FieldValue])[] {
  return Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
}

function isList(value: object): value is readonly string[] | readonly KeyFields[] {
  return Array.isArray(value);
}

// Words YAML readers of either version take for something other than text.
const RESERVED_WORD = /^(?:true|false|yes|no|on|off|y|n|null)$/i;

function toName(name: string, kind: "yaml" | "json"): string {
  const plain = kind === "yaml" && /^[A-Za-z][A-Za-z0-9_-]*$/.test(name) && !RESERVED_WORD.test(name);
  return plain ? name : JSON.stringify(name);
}
