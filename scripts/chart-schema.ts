import * as z from "zod";
import { toJsonSchema } from "../src/config/json-schema.ts";
import { FIXED_AT_START_NAMES } from "../src/config/restart.ts";

const objectSchema = z.record(z.string(), z.unknown());
const withPropertiesSchema = z.looseObject({ properties: z.record(z.string(), z.unknown()) });
const valuesSchema = z.looseObject({ definitions: objectSchema });

// What the chart sets itself, since it must agree with ports, probes, volumes and the grace period of the pod. To the
// values' schema these are unknown fields, so that nobody can say them twice and differently.
const SET_BY_CHART: Readonly<Record<string, readonly string[]>> = {
  "": ["$schema", "keys", "drain"],
  listen: ["address", "tls"],
  upstream: ["url"],
  admin: ["address"],
};

/** The chart's values schema with Latchkey's own config in it: a misspelt field there is refused like any other. */
export function toValuesSchema(handWritten: unknown): unknown {
  const { definitions, ...values } = valuesSchema.parse(handWritten);
  const main = withPropertiesSchema.parse(toJsonSchema("main"));
  const { keyRecord } = objectSchema.parse(main["definitions"]);
  const properties = Object.entries(without(main.properties, SET_BY_CHART[""])).map(([name, schema]) => {
    const own = SET_BY_CHART[name];
    return [name, own === undefined ? schema : longForm(schema, own)];
  });
  const policy = {
    type: "object",
    description: "Latchkey's config, without what the chart sets itself",
    additionalProperties: false,
    properties: Object.fromEntries(properties),
  };
  return { ...values, definitions: { ...definitions, keyRecord, policy } };
}

/** The fields no reload brings into force, as a template: `latchkey.restartFields`. */
export function toRestartTemplate(): string {
  const note = "{{/* Written by `npm run schema`: the fields of the config that no reload brings into force. */}}";
  return `${note}\n{{- define "latchkey.restartFields" -}}${JSON.stringify(FIXED_AT_START_NAMES)}{{- end }}\n`;
}

/** Of a field that has short forms too, the object, less these fields. Short forms could not be merged with the chart's. */
function longForm(schema: unknown, omitted: readonly string[]): unknown {
  const { anyOf, ...rest } = z.looseObject({ anyOf: z.array(objectSchema) }).parse(schema);
  const long = withPropertiesSchema.parse(anyOf.find(({ type }) => type === "object"));
  const { description } = rest;
  return { ...long, description, properties: without(long.properties, omitted) };
}

function without(fields: Readonly<Record<string, unknown>>, omitted: readonly string[] = []): Record<string, unknown> {
  const missing = omitted.filter((name) => !Object.hasOwn(fields, name));
  // A field that was renamed must be left out under its new name.
  if (missing.length > 0) throw new Error(`the config has no field ${missing.join(", ")}`);
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !omitted.includes(name)));
}
