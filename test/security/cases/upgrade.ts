import type { Case } from "../bench/case.ts";
import { CHUNKED, chunked, KEY, keepAlive, message, SMUGGLED, toBytes } from "./message.ts";

const UPGRADE = [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];

const upgrade = (target: string, lines: readonly string[] = [KEY]): string =>
  keepAlive(`GET ${target} HTTP/1.1`, [...lines, ...UPGRADE]);

const SWITCHED = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const REFUSED = "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 7\r\n\r\nrefused";

/** Protocols this hop does not switch to: the request is answered as plain HTTP, and nothing is tunnelled. */
const OTHER_PROTOCOLS = [
  "Upgrade: h2c",
  "Upgrade: websocket, h2c",
  "Upgrade: h2c, websocket",
  "Upgrade: websocket\r\nUpgrade: h2c",
  "Upgrade: TLS/1.3",
  "Upgrade: websocket/13",
  "Upgrade: xwebsocket",
  "Upgrade:",
] as const;

const FORGED = [
  "X-Latchkey-Key-Id: forged",
  "X_Latchkey_Key_Id: forged",
  "X.Latchkey.Tenant: forged",
  "X-Forwarded-For: forged",
  "X_Forwarded_Host: forged",
  "Forwarded: for=forged",
  "Client-IP: forged",
  "X-HTTP-Method-Override: forged",
  "Constructor: plain",
] as const;

/** Upgrades pass the same checks, and open nothing that was not asked of the upstream. */
export const UPGRADE_CASES: readonly Case[] = [
  {
    name: "an allowed upgrade carries both ways what follows it",
    send: [{ bytes: upgrade("/any/{tag}") }, { bytes: "frame {tag}", after: "101 Switching" }],
    until: "echo:frame",
    answers: [101],
    upstream: [
      {
        method: "GET",
        target: "/any/{tag}",
        tunnel: "frame {tag}",
        present: { connection: ["Upgrade"], upgrade: ["websocket"] },
      },
    ],
  },
  {
    name: "what is sent before the 101 is tunnelled only after it",
    send: `${upgrade("/any/{tag}")}early {tag}`,
    until: "echo:early",
    answers: [101],
    upstream: [{ method: "GET", target: "/any/{tag}", tunnel: "early {tag}" }],
  },
  {
    name: "a request sent early behind an upgrade the upstream refuses never arrives",
    send: `${upgrade("/any/{tag}")}${SMUGGLED}`,
    reply: { bytes: REFUSED },
    answers: [426],
    upstream: [{ method: "GET", target: "/any/{tag}" }],
    client: { has: ["refused"] },
  },
  {
    name: "a request sent after an upgrade the upstream refused never arrives",
    send: [{ bytes: upgrade("/any/{tag}") }, { bytes: SMUGGLED, after: "HTTP/1.1 426" }],
    reply: { bytes: REFUSED },
    answers: [426],
    upstream: [{ method: "GET", target: "/any/{tag}" }],
  },
  {
    name: "a request sent behind an upgrade answered with 200 never arrives",
    send: `${upgrade("/any/{tag}")}${SMUGGLED}`,
    reply: { bytes: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" },
    answers: [200],
    upstream: [{ method: "GET", target: "/any/{tag}" }],
  },
  {
    name: "an upgrade with a wrong version, which apps refuse, leaves no tunnel open",
    send: `${upgrade("/any/{tag}").replace("Version: 13", "Version: 1337")}${SMUGGLED}`,
    reply: { bytes: REFUSED },
    answers: [426],
    upstream: [{ method: "GET", target: "/any/{tag}" }],
  },
  {
    name: "an upgrade without a key is refused, and what follows is not read",
    send: upgrade("/any/{tag}", []) + SMUGGLED,
    answers: [401],
    upstream: "never",
  },
  {
    name: "an upgrade with an unknown key is refused, and what follows is not read",
    send: upgrade("/any/{tag}", ["X-API-Key: {unknown}"]) + message("GET /any/b-{tag} HTTP/1.1", [KEY]),
    answers: [401],
    upstream: "never",
  },
  {
    name: "an upgrade to a route without the scope is refused",
    send: upgrade("/admin/{tag}"),
    answers: [403],
    upstream: "never",
  },
  {
    name: "an upgrade to an ambiguous target is refused",
    send: upgrade("/any/%2e%2e/admin/{tag}"),
    answers: [400],
    upstream: "never",
  },
  {
    name: "an upgrade with two keys is refused",
    send: upgrade("/any/{tag}", [KEY, "X-API-Key: {other}"]),
    answers: [400],
    upstream: "never",
  },
  {
    name: "an upgrade with two hosts is refused",
    send: upgrade("/any/{tag}", [KEY, "Host: evil.test"]),
    answers: [400],
    upstream: "never",
  },
  {
    name: "an upgrade with a measured body is refused",
    send: `${upgrade("/any/{tag}", [KEY, "Content-Length: 5"])}abcde${SMUGGLED}`,
    answers: [400],
    upstream: "never",
  },
  {
    name: "an upgrade with a length of zero is refused",
    send: upgrade("/any/{tag}", [KEY, "Content-Length: 0"]) + SMUGGLED,
    answers: [400],
    upstream: "never",
  },
  {
    name: "an upgrade with a chunked body is refused",
    send: upgrade("/any/{tag}", [KEY, CHUNKED]) + chunked("abcde") + SMUGGLED,
    answers: [400],
    upstream: "never",
  },
  {
    name: "an upgrade that nominates the identity keeps it",
    advisory: "CVE-2022-31813",
    send: upgrade("/any/{tag}", [KEY, "Connection: X-Latchkey-Key-Id, X-Latchkey-Tenant, X-Forwarded-For"]),
    until: "\r\n\r\n",
    answers: [101],
    upstream: [{ method: "GET", target: "/any/{tag}" }],
  },
  ...FORGED.map(
    (line): Case => ({
      name: `an upgrade brings no ${line}`,
      advisory: "CVE-2026-88011",
      send: upgrade("/any/{tag}", [KEY, line]),
      until: "\r\n\r\n",
      answers: [101],
      upstream: [
        {
          method: "GET",
          target: "/any/{tag}",
          present: line.startsWith("Constructor") ? { constructor: ["plain"] } : { "x-forwarded-for": ["127.0.0.1"] },
        },
      ],
    }),
  ),
  {
    name: "an upgrade's query loses a method override",
    send: upgrade("/any/{tag}?_method=DELETE&room=1"),
    until: "\r\n\r\n",
    answers: [101],
    upstream: [{ method: "GET", target: "/any/{tag}?room=1" }],
  },
  ...OTHER_PROTOCOLS.map(
    (line): Case => ({
      name: `${JSON.stringify(line)} is answered as plain HTTP`,
      send: message("GET /any/{tag} HTTP/1.1", [
        KEY,
        "Connection: Upgrade, HTTP2-Settings",
        line,
        "HTTP2-Settings: AAMAAABk",
      ]),
      answers: [200],
      upstream: [{ method: "GET", target: "/any/{tag}", absent: ["upgrade", "http2-settings"] }],
    }),
  ),
  ...["POST", "PUT", "DELETE", "OPTIONS", "HEAD"].map(
    (method): Case => ({
      name: `an upgrade by ${method} is answered as plain HTTP, its body is its body`,
      send: message(`${method} /any/{tag} HTTP/1.1`, [KEY, ...UPGRADE, "Content-Length: 5"], "abcde"),
      answers: [200],
      upstream: [{ method, target: "/any/{tag}", body: "abcde", absent: ["upgrade"] }],
    }),
  ),
  {
    name: "a POST that asks for an upgrade smuggles nothing behind its body",
    send: keepAlive("POST /any/{tag} HTTP/1.1", [KEY, ...UPGRADE, CHUNKED], chunked("abcde") + SMUGGLED),
    answers: [200, [401, 0]],
    until: "credential_missing",
    upstream: [{ method: "POST", target: "/any/{tag}", body: "abcde" }],
  },
  {
    name: "Upgrade that Connection does not name is answered as plain HTTP",
    send: message("GET /any/{tag} HTTP/1.1", [KEY, "Upgrade: websocket"]),
    answers: [200],
    upstream: [{ method: "GET", target: "/any/{tag}", absent: ["upgrade"] }],
  },
  {
    name: "an upgrade in HTTP/1.0 is no upgrade (RFC 9110 §7.8)",
    send: toBytes(["GET /any/{tag} HTTP/1.0", "Host: api.test", "X-Case: {tag}", KEY, ...UPGRADE]) + SMUGGLED,
    answers: [[200, 400]],
    upstream: [{ method: "GET", target: "/any/{tag}", absent: ["upgrade"], maybe: true }],
  },
  {
    name: "a refused upgrade pipelined behind an allowed request is answered after it",
    send: keepAlive("GET /any/{tag} HTTP/1.1", [KEY]) + upgrade("/any/b-{tag}", []),
    answers: [200, 401],
    upstream: [{ method: "GET", target: "/any/{tag}" }],
  },
  {
    name: "an allowed upgrade pipelined behind another request is answered after it",
    send: keepAlive("GET /any/{tag} HTTP/1.1", [KEY]) + upgrade("/any/b-{tag}"),
    answers: [200, 101],
    upstream: [
      { method: "GET", target: "/any/{tag}" },
      { method: "GET", target: "/any/b-{tag}" },
    ],
  },
  {
    name: "a CONNECT pipelined behind an allowed request is refused after it",
    send: `${keepAlive("GET /any/{tag} HTTP/1.1", [KEY])}CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n`,
    answers: [200, 400],
    upstream: [{ method: "GET", target: "/any/{tag}" }],
  },
  {
    name: "a 101 nobody asked for is no answer",
    send: message("GET /any/{tag} HTTP/1.1", [KEY]),
    reply: { bytes: SWITCHED },
    answers: [502],
    upstream: [{ method: "GET", target: "/any/{tag}" }],
  },
  {
    name: "a refusal of an upgrade that breaks off never looks complete",
    send: upgrade("/any/{tag}"),
    reply: { bytes: "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 100\r\n\r\nshort", ending: "close" },
    answers: [[426, 502]],
    broken: true,
    upstream: [{ method: "GET", target: "/any/{tag}" }],
  },
  {
    name: "a refusal of an upgrade framed twice is not passed on as such",
    send: upgrade("/any/{tag}"),
    reply: { bytes: "HTTP/1.1 426 No\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
    answers: [502],
    upstream: [{ method: "GET", target: "/any/{tag}" }],
  },
  {
    name: "an upstream that closes instead of answering an upgrade is answered for",
    send: upgrade("/any/{tag}"),
    reply: { bytes: "", ending: "close" },
    answers: [502],
    upstream: [
      { method: "GET", target: "/any/{tag}" },
      // Again, where the connection had carried a request before: the upstream may have been closing it.
      { method: "GET", target: "/any/{tag}", maybe: true },
    ],
  },
  {
    name: "an upstream that never answers an upgrade is given up on",
    send: upgrade("/any/{tag}"),
    reply: { bytes: "" },
    answers: [504],
    upstream: [{ method: "GET", target: "/any/{tag}" }],
  },
];
