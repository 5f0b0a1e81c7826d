import * as z from "zod";
import { DENIAL_REASONS } from "../policy/decision.ts";
import { keyRecord } from "./key-schema.ts";
import { management } from "./management-schema.ts";
import { reload } from "./reload-schema.ts";
import { duration, limits, oneOrMany, oneOrMore, textOf } from "./schema-parts.ts";
import { admin, drain, listen, log, upstream, workers } from "./server-schema.ts";

const verdict = z.enum(["reject", "allow"]);

const location = z.union([
  textOf((text) => {
    const [, header, scheme] = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?::\s*(\S+))?$/.exec(text.trim()) ?? [];
    if (header === undefined)
      return { kind: "problem", problem: 'a header, as "X-API-Key" or "Authorization: Bearer"' };
    return { kind: "value", value: scheme === undefined ? { header } : { header, scheme } };
  }).meta({ examples: ["X-API-Key", "Authorization: Bearer"] }),
  z.strictObject({
    header: z
      .string()
      .describe("Name of the request header")
      .meta({ examples: ["X-API-Key"] }),
    scheme: z
      .string()
      .optional()
      .describe("Authentication scheme in front of the key; without one the whole field is the key")
      .meta({ examples: ["Bearer"] }),
  }),
]);

const credentials = z.strictObject({
  locations: oneOrMore(location)
    .prefault(["Authorization: Bearer", "X-API-Key"])
    .describe("Where a key may be presented, in the words error messages use"),
  inUrl: z
    .enum(["reject", "strip", "ignore"])
    .default("reject")
    .describe("A key found in the query string: refuse the request, take it out, or let it pass unread"),
  forward: z.boolean().default(false).describe("Whether the upstream still sees the key"),
});

const reasonOverride = z.strictObject({
  status: z.int().min(400).max(599).optional().describe("HTTP status of the answer"),
  code: z.string().min(1).optional().describe("Machine-readable code in the answer"),
  message: z
    .string()
    .optional()
    .describe("Text for people; may use {scopes}, {retryAfter}, {location} and the other template fields"),
});

const denialVariable = z.strictObject({
  from: z.string().describe("The named segment of the credential that chooses, such as region"),
  values: z.record(z.string(), z.string()).describe("Text for each value of that segment"),
  default: z.string().default("").describe("Text when the credential names no such value"),
});

const denials = z.strictObject({
  body: z
    .union([z.enum(["problem", "flat", "nested"]), z.looseObject({})])
    .default("problem")
    .describe(
      "Shape of error answers: RFC 9457 problem details, flat {error, message}, nested {error: {code, message}}, " +
        "or an object of your own whose strings may use {reason} {code} {message} {status} {scopes} {retryAfter} " +
        "{requestId} {environment} {region} {location}",
    ),
  realm: z
    .string()
    .regex(/^[\x20\x21\x23-\x5b\x5d-\x7e]+$/, "Expected printable ASCII without quotes or backslashes")
    .default("api")
    .describe("Protection space named in WWW-Authenticate"),
  reasons: z
    .partialRecord(z.enum(DENIAL_REASONS), reasonOverride)
    .prefault({})
    .describe("Status, code and message of single reasons"),
  variables: z
    .record(z.string(), denialVariable)
    .prefault({})
    .describe("Extra template fields whose text depends on a named segment of the credential"),
});

const assertion = z.strictObject({
  header: z.string().default("X-Latchkey-Assertion").describe("Header that carries the JWT"),
  algorithm: z.enum(["EdDSA", "ES256", "RS256"]).default("EdDSA").describe("How the JWT is signed"),
  key: z.string().describe("File with the private key, PKCS #8 in PEM; relative to this file"),
  issuer: z.string().min(1).default("latchkey").describe("The iss claim"),
  audience: z.string().min(1).describe("The aud claim: the upstream that may believe it"),
  ttl: textOfTtl().prefault("60s").describe("How long one assertion is valid, 5s to 1h"),
});

const identity = z.strictObject({
  headers: z
    .record(z.string(), z.string())
    .optional()
    .describe(
      "Headers the upstream receives, in place of the X-Latchkey- defaults; values are templates such as {key.id}",
    ),
  assertion: assertion.optional().describe("A signed, short-lived JWT that says the same"),
});

const route = z
  .strictObject({
    match: z
      .string('Expected "METHODS PATH", such as "GET /orders/**"')
      .describe("METHODS PATH: methods by comma or *; in the path {name} or * is one segment, a last ** any number")
      .meta({ examples: ["GET /api/v1/orders/**"] }),
    public: z.literal(true).optional().describe("No key is needed"),
    authenticated: z.literal(true).optional().describe("Any valid key will do"),
    scopes: oneOrMore(z.string()).optional().describe("Scopes the key must have, all of them"),
    anyScope: oneOrMore(z.string()).optional().describe("Scopes of which the key must have one"),
    aliases: z
      .record(z.string(), z.string())
      .prefault({})
      .describe('Renames path parameters in derived scopes: whole names, or endings as "*ies": "*y"')
      .meta({ examples: [{ clients: "client", "*ies": "*y" }] }),
    cost: z.int().min(1).max(1_000_000).default(1).describe("How many requests one request here counts as"),
    limits: limits.optional().describe("Limits of this route, per key, besides those of the key"),
    allowIps: oneOrMany(z.string()).optional().describe("Addresses and CIDR ranges this route may be called from"),
    allowMethodOverride: z
      .boolean()
      .default(false)
      .describe("Whether X-HTTP-Method-Override and its like reach the upstream"),
  })
  .describe("Exactly one of public, authenticated, scopes and anyScope; the first matching route decides")
  // For editors; the compiler says it of each route in its own words.
  .meta({ oneOf: ["public", "authenticated", "scopes", "anyScope"].map((field) => ({ required: [field] })) });

const scopeEntry = z.union([
  z.null(),
  z.strictObject({
    description: z.string().optional().describe("What the scope lets its holder do"),
    implies: oneOrMany(z.string()).prefault([]).describe("Scopes its holder has as well"),
  }),
]);

const limitSettings = z.strictObject({
  default: limits.optional().describe("Limits of every key that has none of its own; each window must admit"),
  max: z
    .string("Expected a rate, such as 1000/minute")
    .optional()
    .describe("The most any key may ask for, in the long run and at once")
    .meta({ examples: ["1000/minute"] }),
  failures: z
    .string("Expected a rate such as 30/minute, or off")
    .default("30/minute")
    .describe("Refused credentials per client address (IPv6: per /64), or off")
    .meta({ examples: ["30/minute", "off"] }),
  store: textOf((text) =>
    text === "memory"
      ? { kind: "value", value: "memory" as const }
      : { kind: "problem", problem: '"memory", the only store available in this version' },
  )
    .prefault("memory")
    .describe("Where buckets are kept; only memory is available in this version"),
  headers: oneOrMany(z.enum(["ietf", "legacy", "legacy-epoch"]))
    .prefault(["ietf", "legacy"])
    .describe(
      "Which headers report limits: RateLimit and RateLimit-Policy, or X-RateLimit-* with the reset in seconds or as Unix time",
    ),
});

const keys = z.union(
  [
    z
      .string()
      .transform((file) => ({ files: [file] }))
      .meta({ examples: ["keys.yaml"] }),
    z.array(keyRecord),
    z.strictObject({
      files: oneOrMany(z.string()).describe("Keys files, relative to this file; * may stand in a file's name"),
    }),
  ],
  { error: "Expected a keys file, {files: […]} or a list of records" },
);

/** The main file: the one definition that validates it, types it and documents it. */
export const mainSchema = z
  .strictObject({
    $schema: z.string().optional().describe("For editors only; ignored"),
    listen,
    upstream,
    admin,
    credentials: credentials.prefault({}).describe("How clients present their keys"),
    keyFormats: oneOrMany(z.string())
      .prefault([])
      .describe("What keys look like; the first is used to generate. Without any, a key is any visible text")
      .meta({ examples: [["bk_{environment:live|test}_{secret:hex(32)}"]] }),
    accept: z
      .record(z.string(), oneOrMore(z.string()))
      .prefault({})
      .describe("Values of named key segments that this instance serves; other keys are refused by their text")
      .meta({ examples: [{ environment: ["live"] }] }),
    scopes: z
      .union([z.array(z.string()).transform(toCatalogue), z.record(z.string(), scopeEntry)])
      .optional()
      .describe("The catalogue of scopes; with one, an unknown scope in a route is an error"),
    routes: z
      .array(route)
      .prefault([])
      .describe("What may be called and with which scopes; first match wins, default is deny"),
    actions: z
      .record(z.string(), z.string())
      .prefault({})
      .describe("What {action} means in a route's scope, by method; laid over the defaults")
      .meta({ examples: [{ GET: "read", POST: "create" }] }),
    limits: z
      .union([limits.transform(toLimitSettings), limitSettings], {
        error: "Expected a rate such as 100/minute, a list of rates, or a map of fields",
      })
      .prefault({})
      .describe("How often keys may call, and how often credentials may be wrong"),
    paths: z
      .strictObject({
        encodedSlash: verdict.default("reject").describe("%2F in a path"),
        encodedDelimiters: verdict.default("reject").describe("%3F and %23 in a path"),
        matrixParameters: verdict.default("reject").describe("; in a path"),
        emptySegments: verdict.default("reject").describe("// in a path"),
        caseSensitive: z.boolean().default(true).describe("Whether routes tell /Orders from /orders"),
      })
      .prefault({})
      .describe("What is done with paths that two programs may read differently"),
    denials: denials.prefault({}).describe("How refusals are worded"),
    identity: identity.prefault({}).describe("What the upstream learns about the key"),
    hashing: z
      .strictObject({
        pepper: z
          .strictObject({
            file: z.string().optional().describe("File that holds the pepper; relative to this file"),
            env: z.string().optional().describe("Environment variable that holds the pepper"),
          })
          .meta({ oneOf: ["file", "env"].map((field) => ({ required: [field] })) })
          .optional()
          .describe("Secret mixed into hmac-sha256 digests, at least 16 bytes; it never stands in this file"),
      })
      .prefault({})
      .describe("How digests of keys are computed"),
    management: management.optional(),
    keys: keys
      .optional()
      .describe("A keys file, {files: […]}, or the records themselves; required where a route is not public"),
    shadow: z
      .string()
      .min(1)
      .optional()
      .describe(
        "Another main file, relative to this one, whose policy is evaluated on real traffic and enforces nothing",
      )
      .meta({ examples: ["candidate.yaml"] }),
    reload,
    drain,
    workers,
    log,
  })
  .meta({ title: "Latchkey configuration", description: "The main file of Latchkey, an API-key reverse proxy" });

export type Main = z.infer<typeof mainSchema>;
export type WrittenRoute = Main["routes"][number];

function toCatalogue(names: readonly string[]): Record<string, null> {
  return Object.fromEntries(names.map((name) => [name, null]));
}

function toLimitSettings(written: z.infer<typeof limits>): z.infer<typeof limitSettings> {
  return limitSettings.parse({ default: written });
}

function textOfTtl() {
  return duration(5000, 3_600_000, "5s to 1h");
}
