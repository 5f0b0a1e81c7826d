import { writeFileSync } from "node:fs";
import { toJsonSchema } from "../src/config/json-schema.ts";

// Writes the schemas that are checked in; a test compares them with the definition they come from.
for (const [file, name] of [
  ["main", "latchkey.schema.json"],
  ["keys", "latchkey-keys.schema.json"],
] as const) {
  writeFileSync(new URL(`../config/${name}`, import.meta.url), `${JSON.stringify(toJsonSchema(file), undefined, 2)}\n`);
}
