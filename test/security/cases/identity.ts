import type { Case } from "../bench/case.ts";
import { byte, CHUNKED, chunk, get, KEY, message, post } from "./message.ts";

/** Every character of a token that is neither letter nor digit (RFC 9110 §5.6.2): each aliases `-` somewhere. */
export const SEPARATORS = "!#$%&'*+-.^_`|~";

/** Names whose value only Latchkey may write. */
const RESERVED = ["X-Latchkey-Key-Id", "X-Latchkey-Tenant", "X-Latchkey-Scopes", "X-Latchkey-Anything"] as const;

/** Names an app believes of where a request came from, which Latchkey rewrites or drops. */
const BELIEVED = ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-User", "X-Real-IP", "X-Original-URL"] as const;

const ALIAS_ADVISORIES: Readonly<Record<string, string>> = {
  _: "CVE-2025-64484",
  ".": "GHSA-49wc-4hcv-v58q",
};

const alias = (name: string, separator: string): string => name.replaceAll("-", separator);

function aliasCases(name: string, separator: string): readonly Case[] {
  const line = `${alias(name, separator)}: forged`;
  const advisory = ALIAS_ADVISORIES[separator] ?? "CVE-2026-88011";
  return [
    {
      name: `${line} does not arrive`,
      advisory,
      send: get("/any/{tag}", line),
      answers: [200],
      upstream: [{ method: "GET", target: "/any/{tag}" }],
    },
    {
      name: `${line} does not arrive on a public route`,
      advisory,
      send: message("GET /public/{tag} HTTP/1.1", [line]),
      answers: [200],
      upstream: [{ method: "GET", target: "/public/{tag}" }],
    },
    {
      name: `${line} does not arrive as a trailer`,
      advisory: "CVE-2026-88004",
      send: post("/any/{tag}", [CHUNKED, `Trailer: ${alias(name, separator)}`], `${chunk("body")}0\r\n${line}\r\n\r\n`),
      answers: [200],
      upstream: [{ method: "POST", target: "/any/{tag}", body: "body", absent: ["trailer"] }],
    },
  ];
}

/** The same name in odd capitals, and separators mixed. */
const SPELLINGS = [
  "x-latchkey-key-id",
  "X-LATCHKEY-KEY-ID",
  "x-LaTcHkEy-KeY-iD",
  "X_Latchkey-Key.Id",
  "X-Latchkey_Key~Id",
  "X--Latchkey-Key-Id",
  "-X-Latchkey-Key-Id",
  "X-Latchkey-Key-Id-",
  "X-Latchkey-Key-Id_",
  "_X_Latchkey_Key_Id",
] as const;

const NOMINATED = [
  "X-Latchkey-Key-Id",
  "x-latchkey-tenant",
  "X-LATCHKEY-SCOPES",
  "X-Forwarded-For",
  "X-Forwarded-Proto",
  "X-Forwarded-Host",
  "X-Request-Id",
  "Host",
  "Content-Length",
  "Transfer-Encoding",
  "Connection",
  "X-API-Key",
  "Authorization",
] as const;

const CONNECTIONS = (name: string): readonly string[] => [
  `Connection: ${name}`,
  `Connection: keep-alive, ${name}`,
  `Connection: ,,${name} ,`,
  `Connection: keep-alive\r\nConnection: ${name}`,
  `Proxy-Connection: ${name}`,
];

const ADVISORIES: readonly Case[] = [
  {
    name: "identity the key has no value for is deleted, not left",
    advisory: "GHSA-7r4p-vjf4-gxv4",
    send: message("GET /any/{tag} HTTP/1.1", [
      "X-API-Key: {scopeless}",
      "X-Latchkey-Tenant: forged",
      "X-Latchkey-Scopes: forged",
    ]),
    answers: [200],
    upstream: [
      {
        method: "GET",
        target: "/any/{tag}",
        present: { "x-latchkey-key-id": ["nothing"], "x-latchkey-tenant": [], "x-latchkey-scopes": [] },
      },
    ],
  },
  {
    name: "identity a public route has no value for is deleted, not left",
    advisory: "GHSA-7r4p-vjf4-gxv4",
    send: message(
      "GET /public/{tag} HTTP/1.1",
      RESERVED.map((name) => `${name}: forged`),
    ),
    answers: [200],
    upstream: [{ method: "GET", target: "/public/{tag}" }],
  },
  {
    name: "a public route with somebody's key says nothing of them",
    send: message("GET /public/{tag} HTTP/1.1", [KEY]),
    answers: [200],
    upstream: [{ method: "GET", target: "/public/{tag}", absent: ["x-api-key", "x-latchkey-key-id"] }],
  },
  {
    name: "the same forged header on two lines does not arrive",
    send: get("/any/{tag}", "X-Latchkey-Key-Id: forged", "X-Latchkey-Key-Id: forged"),
    answers: [200],
    upstream: [{ method: "GET", target: "/any/{tag}" }],
  },
  {
    name: "a forged header with an empty value does not arrive beside ours",
    send: get("/any/{tag}", "X-Latchkey-Key-Id:", "X_Latchkey_Key_Id:"),
    answers: [200],
    upstream: [{ method: "GET", target: "/any/{tag}" }],
  },
  {
    name: "the identity of one request does not stay for the next on the same connection",
    send:
      get("/any/a-{tag}").replace("Connection: close\r\n", "") +
      message("GET /any/b-{tag} HTTP/1.1", ["X-API-Key: {other}"]),
    answers: [200, 200],
    upstream: [
      { method: "GET", target: "/any/a-{tag}" },
      {
        method: "GET",
        target: "/any/b-{tag}",
        present: { "x-latchkey-key-id": ["bob"], "x-latchkey-tenant": ["butcher"] },
      },
    ],
  },
  ...["X-Latchkey-Key-Id", "Authorization", "Host", "X-Forwarded-For", "Connection", "X-Fine"].map(
    (name): Case => ({
      name: `the trailer ${name} does not arrive`,
      advisory: "CVE-2026-88004",
      send: post("/any/{tag}", [CHUNKED], `${chunk("body")}0\r\n${name}: forged\r\n\r\n`),
      answers: [200],
      upstream: [{ method: "POST", target: "/any/{tag}", body: "body" }],
    }),
  ),
  ...["Content-Length: 99", "Transfer-Encoding: chunked", "Transfer-Encoding: gzip"].map(
    (line): Case => ({
      name: `the trailer ${line} frames nothing`,
      advisory: "CVE-2026-88004",
      send: post("/any/{tag}", [CHUNKED], `${chunk("body")}0\r\n${line}\r\n\r\n`),
      answers: [[200, 400, 0]],
      upstream: [{ method: "POST", target: "/any/{tag}", body: "body", complete: "either", maybe: true }],
    }),
  ),
];

/** Who the upstream is told the caller is. */
export const IDENTITY_CASES: readonly Case[] = [
  ...RESERVED.flatMap((name) => [...SEPARATORS].flatMap((separator) => aliasCases(name, separator))),
  ...BELIEVED.flatMap((name) => [...SEPARATORS].flatMap((separator) => aliasCases(name, separator))),
  ...SPELLINGS.map(
    (name): Case => ({
      name: `${name} neither arrives as sent nor takes the place of ours`,
      send: get("/any/{tag}", `${name}: {tag}`),
      answers: [200],
      upstream: [{ method: "GET", target: "/any/{tag}", present: { "x-latchkey-key-id": ["alice"] } }],
    }),
  ),
  ...NOMINATED.flatMap((name) =>
    CONNECTIONS(name).map(
      (line): Case => ({
        name: `${JSON.stringify(line)} removes nothing that Latchkey sets`,
        advisory: "CVE-2022-31813",
        send: post("/any/{tag}", [line, "Content-Length: 4"], "body"),
        answers: [200],
        upstream: [
          {
            method: "POST",
            target: "/any/{tag}",
            body: "body",
            present: {
              host: ["api.test"],
              "content-length": ["4"],
              "x-forwarded-for": ["127.0.0.1"],
              "x-forwarded-proto": ["http"],
              "x-forwarded-host": ["api.test"],
            },
          },
        ],
      }),
    ),
  ),
  ...[byte(0x80), byte(0xad), byte(0xe9), byte(0xff)].map(
    (bytes): Case => ({
      name: `a reserved name with the byte 0x${bytes.charCodeAt(0).toString(16)} in it is no header`,
      send: get("/any/{tag}", `X-Latchkey${bytes}Key-Id: forged`),
      answers: [400],
      upstream: "never",
    }),
  ),
  ...ADVISORIES,
];
