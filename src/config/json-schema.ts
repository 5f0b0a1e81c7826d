import * as z from "zod";
import { keysFileSchema } from "./key-schema.ts";
import { mainSchema } from "./schema.ts";

/** The JSON Schema of the main file or of a keys file: what `latchkey schema` prints and editors read. */
export function toJsonSchema(file: "main" | "keys"): unknown {
  return z.toJSONSchema(file === "main" ? mainSchema : keysFileSchema, {
    io: "input",
    target: "draft-7",
    // The language server of most editors is strictest with draft 7, which knows all that is used here.
    override: ({ jsonSchema }) => {
      // An integer's bounds from the size of a double tell a reader nothing.
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    },
  });
}
