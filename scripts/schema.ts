import { readFileSync, writeFileSync } from "node:fs";
import { toJsonSchema } from "../src/config/json-schema.ts";
import { toRestartTemplate, toValuesSchema } from "./chart-schema.ts";

// Writes the schemas that are checked in; a test compares them with the definition they come from.
for (const [file, name] of [
  ["main", "latchkey.schema.json"],
  ["keys", "latchkey-keys.schema.json"],
] as const) {
  writeFileSync(new URL(`../config/${name}`, import.meta.url), `${JSON.stringify(toJsonSchema(file), undefined, 2)}\n`);
}

const chart = new URL("../charts/latchkey/", import.meta.url);
const values = new URL("values.schema.json", chart);
const handWritten: unknown = JSON.parse(readFileSync(values, "utf8"));
writeFileSync(values, `${JSON.stringify(toValuesSchema(handWritten), undefined, 2)}\n`);
writeFileSync(new URL("templates/_restart-fields.tpl", chart), toRestartTemplate());
