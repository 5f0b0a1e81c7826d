import * as z from "zod";
import { limits } from "./schema-parts.ts";

const INSTANT = "Expected an instant with its offset, such as 2027-01-01T00:00:00Z";

const words = z.union([z.string(), z.array(z.string())]);

/**
 * One key record. It transforms nothing: a keys file may hold a hundred thousand of these, and what
 * the fields mean is worked out once per distinct value when they are compiled.
 */
export const keyRecord = z
  .strictObject({
    id: z
      .string()
      .describe("Public, stable, unique name of the key; it stands in logs and metrics and is never the secret")
      .meta({ examples: ["pos-integration"] }),
    name: z.string().optional().describe("What people call the key"),
    hash: z
      .string()
      .describe(
        "Digest of the credential: sha256:<64 hex>, hmac-sha256:<64 hex> (needs hashing.pepper) or a bcrypt string. " +
          "`latchkey keys hash` makes one",
      ),
    prefix: z
      .string()
      .optional()
      .describe("First characters of the credential; required with bcrypt, shown by `latchkey keys list`")
      .meta({ examples: ["ord_live_4f2a"] }),
    tenant: z.string().optional().describe("Whom the key belongs to; sent upstream as X-Latchkey-Tenant"),
    scopes: words
      .optional()
      .describe("What the key may do. `*` is everything; `orders:*` and `client.*` cover segments after `:` or `.`")
      .meta({ examples: [["orders:read"]] }),
    limits: limits.optional().describe("Rate limits of this key in place of limits.default"),
    allowIps: words
      .optional()
      .describe("Addresses and CIDR ranges the key may be used from; empty or absent means anywhere")
      .meta({ examples: [["203.0.113.0/24"]] }),
    notBefore: z
      .string(INSTANT)
      .optional()
      .describe("First instant the key is valid at")
      .meta({ examples: ["2026-01-01T00:00:00Z"] }),
    expiresAt: z
      .string(INSTANT)
      .optional()
      .describe("Instant from which the key is no longer valid")
      .meta({ examples: ["2027-01-01T00:00:00Z"] }),
    status: z
      .enum(["active", "suspended", "revoked"])
      .optional()
      .describe("Whether the key may be used: active (the default), suspended for a while, or revoked for good"),
    readOnly: z.boolean().optional().describe("Test mode: only GET, HEAD and OPTIONS pass. False by default"),
    rotatedTo: z.string().optional().describe("Id of the key that replaced this one; written when a key is rotated"),
    metadata: z
      .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
      .optional()
      .describe("Free facts about the key, usable in identity headers as {key.metadata.NAME}")
      .meta({ examples: [{ team: "retail" }] }),
  })
  .meta({ id: "keyRecord", title: "Key record", description: "One API key, kept only as a digest" });

export type WrittenKey = z.infer<typeof keyRecord>;

// A list that was cut off looks the same, so that none is taken to be meant only when it is written.
const NO_KEYS = "Expected a list; write keys: [] if there are to be none";

/** A keys file: a list of records under `keys`. */
export const keysFileSchema = z
  .strictObject({
    $schema: z.string().optional().describe("For editors only; ignored"),
    keys: z
      .array(keyRecord, { error: ({ input }) => (input === null ? NO_KEYS : undefined) })
      .describe("The records, in any order"),
  })
  .meta({ title: "Latchkey keys file", description: "API keys, in a file of their own beside the main one" });
