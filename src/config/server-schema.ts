import * as z from "zod";
import { duration, oneOrMany, settle, size, socketAddress, textOf } from "./schema-parts.ts";
import { DEFAULT_ADMIN, parseUpstream, parseWorkers } from "./values.ts";

// setTimeout counts in 31 bits of milliseconds and fires at once beyond, so timers stay under a day.
const DAY_MS = 86_400_000;

const timer = () => duration(1, DAY_MS, "1ms to 1d");
const timerOrNone = () => duration(0, DAY_MS, "at most 1d, or 0 for none");

const ranges = () => oneOrMany(z.string()).prefault([]);

const trustedFields = z
  .strictObject({
    address: ranges().describe("Whose X-Forwarded-For is believed"),
    scheme: ranges().describe("Whose X-Forwarded-Proto is believed"),
    host: ranges().describe("Whose X-Forwarded-Host is passed on"),
  })
  .describe("Trust in each of the three things apart; a list trusts in all of them");

const listenFields = z.strictObject({
  address: socketAddress
    .prefault("0.0.0.0:8080")
    .describe("Where clients connect: host:port, [::]:8080, :8080, 8080 or unix:/path")
    .meta({ examples: ["0.0.0.0:8080", "unix:/run/latchkey.sock"] }),
  trustedProxies: z
    .union([z.string().transform((range) => [range]), z.array(z.string()), trustedFields])
    .prefault([])
    .describe("Addresses and CIDR ranges whose X-Forwarded-* headers are believed; nobody's by default")
    .meta({ examples: [["10.0.0.0/8"], { address: ["10.0.0.0/8"], scheme: ["10.0.0.0/8"] }] }),
  https: z
    .enum(["optional", "required"])
    .default("optional")
    .describe("Whether a request must have come over TLS, to Latchkey itself or to a trusted proxy"),
  tls: z
    .strictObject({
      cert: z.string().describe("Certificate chain in PEM; relative to this file"),
      key: z.string().describe("Private key in PEM; relative to this file"),
    })
    .optional()
    .describe("Serve TLS; the files are read again when they change"),
  timeouts: z
    .strictObject({
      headers: timer().prefault("10s").describe("Time to send all headers of a request"),
      request: timerOrNone().prefault("0").describe("Time to send a whole request; 0 for no limit"),
      body: timerOrNone().prefault("60s").describe("Longest silence within a request body; 0 for no limit"),
      idle: timer().prefault("65s").describe("How long an unused connection is kept"),
    })
    .prefault({})
    .describe("How long clients may take"),
  maxConnections: z.int().min(1).max(1_000_000).default(10_000).describe("Client connections at one time"),
  maxHeaderBytes: size
    .refine((bytes) => bytes >= 1024 && bytes <= 1024 ** 2, "Expected a size of 1KiB to 1MiB")
    .prefault("16KiB")
    .describe("Size of a request's headers in all"),
  maxHeaders: z.int().min(10).max(10_000).default(100).describe("Number of header lines in a request"),
  maxBody: size
    .optional()
    .describe("Size of a request's body; no limit by default")
    .meta({ examples: ["10MiB"] }),
});

export const listen = z
  .union([socketAddress.transform((address) => ({ ...listenFields.parse({}), address })), listenFields])
  .prefault({})
  .describe("The listener clients connect to");

const upstreamUrl = textOf(parseUpstream);

const upstreamFields = z.strictObject({
  url: upstreamUrl
    .optional()
    .describe("Where the application listens: http://host:port, https://host:port or unix:/path, without a path")
    .meta({ examples: ["http://127.0.0.1:3000", "unix:/run/app.sock"] }),
  ca: z.string().optional().describe("File with the authority that signed the upstream's certificate, in PEM"),
  timeouts: z
    .strictObject({
      connect: timer().prefault("2s").describe("Time to open a connection, or to wait for one that is free"),
      response: timer()
        .prefault("60s")
        .describe("Time from the request's end to the end of the response's head; interim answers do not extend it"),
      idle: timer().prefault("5m").describe("Longest silence within a response body, or on a WebSocket"),
    })
    .prefault({})
    .describe("How long the upstream may take"),
  maxConnections: z.int().min(1).max(100_000).default(256).describe("Connections to the upstream at one time"),
  maxQueue: z
    .int()
    .min(0)
    .max(1_000_000)
    .default(1024)
    .describe("Requests that may wait for a connection; one more is answered 503"),
});

export const upstream = z
  .union([upstreamUrl.transform((url) => ({ ...upstreamFields.parse({}), url })), upstreamFields])
  .prefault({})
  .describe("The application behind Latchkey");

const tokenDigest = (name: string) =>
  z
    .string()
    .regex(/^sha256:[0-9a-fA-F]{64}$/, `Expected sha256:<64 hex>, the digest of the ${name}, never the token itself`)
    .optional();

const authorizerFields = z
  .strictObject({
    trustedPeers: oneOrMany(z.string())
      .describe(
        "Addresses and CIDR ranges of the gateways that may ask, and whose description of a request is believed",
      )
      .meta({ examples: [["10.0.3.0/24"]] }),
    token: tokenDigest("authoriser's token").describe(
      "Digest of a token of the authoriser's own, which every call must then carry in X-Latchkey-Authorizer-Token",
    ),
  })
  .describe("Gateways that may ask, and the token they must carry");

const authorizer = z
  .union([
    z.string().transform((range) => authorizerFields.parse({ trustedPeers: range })),
    z.array(z.string()).transform((trustedPeers) => authorizerFields.parse({ trustedPeers })),
    authorizerFields,
  ])
  .optional()
  .describe("Decide for another gateway at /authorize; nobody may ask by default");

const adminFields = z.strictObject({
  address: socketAddress
    .prefault(DEFAULT_ADMIN)
    .describe("Where the admin port listens; loopback by default")
    .meta({ examples: ["127.0.0.1:9090"] }),
  token: tokenDigest("admin token").describe("Digest of the admin token; without one only health and metrics answer"),
  authorizer,
  probes: z
    .record(
      z.string().regex(/^[a-z0-9][a-z0-9-]*$/, "Expected a name of lower-case letters, digits and -"),
      z.string().regex(/^\/[\x21-\x7e]*$/, "Expected a path that starts with /"),
    )
    .prefault({})
    .describe("Upstream paths that /probe/NAME asks on the kubelet's behalf")
    .meta({ examples: [{ app: "/healthz" }] }),
});

export const admin = z
  .union([
    z.enum(["off"]).transform(() => undefined),
    z.literal(false).transform(() => undefined),
    socketAddress.transform((address) => ({ ...adminFields.parse({}), address })),
    adminFields,
  ])
  .prefault({})
  .describe("The other port: health, status, metrics, probes, reload, drain and the authoriser; off for none");

export const workers = z
  .union([z.string(), z.int().min(1).max(64)], { error: "Expected 1 to 64 threads, or auto" })
  .transform((written, context) => settle(parseWorkers(String(written)), written, context))
  .prefault(1)
  .describe("Threads that answer requests, sharing port and limits; auto is one for each processor")
  .meta({ examples: [2, "auto"] });

export const drain = z
  .strictObject({
    delay: timerOrNone()
      .prefault("0")
      .describe("How long new requests are still taken after SIGTERM, or after the drain was announced by a request"),
    timeout: timer().prefault("25s").describe("How long requests in flight may take to finish after that"),
    token: tokenDigest("drain token").describe(
      "Digest of a token that lets /-/drain on the admin port announce the drain, and nothing else",
    ),
  })
  .prefault({})
  .describe("How Latchkey ends; delay and timeout together must fit the pod's grace period");

const level = z.enum(["debug", "info", "warn", "error", "silent"]);

const logFields = z.strictObject({
  level: level.default("info").describe("The least severe lines that are written"),
  requests: z.enum(["all", "denied", "none"]).default("all").describe("Which requests are logged, one line each"),
});

export const log = z
  .union([level.transform((written) => ({ ...logFields.parse({}), level: written })), logFields])
  .prefault({})
  .describe("What is logged, as JSON lines on stdout");
