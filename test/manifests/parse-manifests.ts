import { isDeepStrictEqual } from "node:util";
import { parseAllDocuments } from "yaml";
import * as z from "zod";

/** One object for the API server. */
export type Manifest = z.infer<typeof manifestSchema>;

const manifestSchema = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
});

/**
 * The documents of a rendered stream. Kubernetes' own parser reads YAML 1.1, editors and most libraries 1.2: what the
 * two would read differently (`0440`, `on`, `1_000`) is an error here, as are names that stand twice.
 */
export function parseManifests(text: string): readonly Manifest[] {
  const old = parse(text, "1.1");
  if (!isDeepStrictEqual(old, parse(text, "1.2"))) throw new Error("YAML 1.1 and 1.2 read this differently");
  return old.map((document) => toManifest(document));
}

/** Refuses what lacks the fields that tell what it is. */
export function toManifest(value: unknown): Manifest {
  return manifestSchema.parse(value);
}

function parse(text: string, version: "1.1" | "1.2"): readonly unknown[] {
  return parseAllDocuments(text, { version })
    .map((document) => {
      const [error] = document.errors;
      if (error !== undefined) throw error;
      const value: unknown = document.toJS();
      return value;
    })
    .filter((value) => value !== null);
}
