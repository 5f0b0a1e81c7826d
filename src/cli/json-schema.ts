import * as z from "zod";
import { keysFileSchema } from "../config/key-schema.ts";
import { mainSchema } from "../config/schema.ts";

/** The JSON Schema of what people write, generated from the definition that validates it. */
export function toJsonSchema(of: "main" | "keys"): object {
  return z.toJSONSchema(of === "keys" ? keysFileSchema : mainSchema, { io: "input", unrepresentable: "any" });
}
