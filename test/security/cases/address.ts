import type { Case } from "../bench/case.ts";
import { KEY, message } from "./message.ts";

/** The one address the trusting setup believes, and one it does not. */
const TRUSTED = "127.0.0.2";
const STRANGER = "127.0.0.3";

/** The key that may be used from 203.0.113.0/24 only: it passes exactly when that is believed. */
const ask = (...lines: readonly string[]): string =>
  message("GET /orders/{tag} HTTP/1.1", ["X-API-Key: {elsewhere}", ...lines]);

const INSIDE = "203.0.113.9";

/** Forwarding headers that would put the caller inside the allowed network, were they believed. */
const CLAIMS: readonly string[] = [
  `X-Forwarded-For: ${INSIDE}`,
  `X-Forwarded-For: ${INSIDE}, 127.0.0.1`,
  `X_Forwarded_For: ${INSIDE}`,
  `Forwarded: for=${INSIDE}`,
  `X-Real-IP: ${INSIDE}`,
  `Client-IP: ${INSIDE}`,
  `X-Client-IP: ${INSIDE}`,
  `True-Client-IP: ${INSIDE}`,
  `CF-Connecting-IP: ${INSIDE}`,
  `X-Original-Forwarded-For: ${INSIDE}`,
];

/** What a trusted proxy hands on, and whether the nearest address that is not trusted lies inside. */
const LISTS: readonly (readonly [lines: readonly string[], inside: boolean])[] = [
  [[`X-Forwarded-For: ${INSIDE}`], true],
  [[`X-Forwarded-For: 6.6.6.6, ${INSIDE}`], true],
  [[`X-Forwarded-For: ${INSIDE}, 6.6.6.6`], false],
  [[`X-Forwarded-For: ${INSIDE}, 10.1.2.3`], true],
  [[`X-Forwarded-For: ${INSIDE}, 6.6.6.6, 10.1.2.3`], false],
  [[`X-Forwarded-For: ${INSIDE}`, "X-Forwarded-For: 6.6.6.6"], false],
  [["X-Forwarded-For: 6.6.6.6", `X-Forwarded-For: ${INSIDE}`], true],
  [[`X-Forwarded-For: ${INSIDE}:51234`], true],
  [[`X-Forwarded-For: ::ffff:${INSIDE}`], true],
  [[`X-Forwarded-For: [::ffff:${INSIDE}]:443`], true],
  [[`X-Forwarded-For: ${INSIDE},`], false],
  [[`X-Forwarded-For: ${INSIDE}, unknown`], false],
  [[`X-Forwarded-For: ${INSIDE}, _hidden`], false],
  [[`X-Forwarded-For: ${INSIDE} 6.6.6.6`], false],
  [["X-Forwarded-For: 0203.0.113.9"], false],
  [["X-Forwarded-For: 0xcb.0.113.9"], false],
  [["X-Forwarded-For: 3405803785"], false],
  [["X-Forwarded-For: 203.0.28937"], false],
  [[`X-Forwarded-For: "${INSIDE}"`], false],
  [[`X-Forwarded-For: ${INSIDE}/32`], false],
  [[`X-Forwarded-For: ${INSIDE}%eth0`], false],
  [["X-Forwarded-For:"], false],
  [[`X_Forwarded_For: ${INSIDE}`], false],
  [[`Forwarded: for=${INSIDE}`], false],
  [[`X-Real-IP: ${INSIDE}`], false],
  [[`X-Forwarded-For: ${"6.6.6.6, ".repeat(200)}${INSIDE}`], true],
];

const whoever = { "x-latchkey-key-id": ["elsewhere"], "x-latchkey-tenant": [] } as const;

/** Whose word is taken for where a request came from. */
export const ADDRESS_CASES: readonly Case[] = [
  ...CLAIMS.map(
    (line): Case => ({
      name: `without trusted proxies ${line} puts nobody inside`,
      send: ask(line),
      answers: [403],
      upstream: "never",
    }),
  ),
  ...CLAIMS.map(
    (line): Case => ({
      name: `from a stranger ${line} puts nobody inside`,
      setup: "trusting",
      from: STRANGER,
      send: ask(line),
      answers: [403],
      upstream: "never",
    }),
  ),
  ...LISTS.map(
    ([lines, inside]): Case => ({
      name: `of a trusted proxy, ${JSON.stringify(lines.join(" | ").slice(-70))} is ${inside ? "inside" : "outside"}`,
      setup: "trusting",
      from: TRUSTED,
      send: ask(...lines),
      answers: [inside ? 200 : 403],
      upstream: inside ? [{ method: "GET", target: "/orders/{tag}", present: whoever }] : "never",
    }),
  ),
  {
    name: "a stranger's forwarding headers are rewritten",
    setup: "trusting",
    from: STRANGER,
    send: message("GET /any/{tag} HTTP/1.1", [
      KEY,
      "X-Forwarded-For: forged",
      "X-Forwarded-Proto: forged",
      "X-Forwarded-Host: forged",
    ]),
    answers: [200],
    upstream: [
      {
        method: "GET",
        target: "/any/{tag}",
        present: { "x-forwarded-for": [STRANGER], "x-forwarded-proto": ["http"], "x-forwarded-host": ["api.test"] },
      },
    ],
  },
  {
    name: "a trusted proxy's forwarding headers are appended to, once each",
    setup: "trusting",
    from: TRUSTED,
    send: message("GET /any/{tag} HTTP/1.1", [
      KEY,
      "X-Forwarded-For: 6.6.6.6",
      "X-Forwarded-Proto: http",
      "X-Forwarded-Proto: https",
    ]),
    answers: [200],
    upstream: [
      {
        method: "GET",
        target: "/any/{tag}",
        present: { "x-forwarded-for": [`6.6.6.6, ${TRUSTED}`], "x-forwarded-proto": ["https"] },
      },
    ],
  },
  ...["X-Forwarded-For:", "X-Forwarded-For: ,"].map(
    (line): Case => ({
      name: `a trusted proxy that names no client says nothing of it: ${line}`,
      setup: "trusting",
      from: TRUSTED,
      send: message("GET /any/{tag} HTTP/1.1", [KEY, line]),
      answers: [200],
      upstream: [{ method: "GET", target: "/any/{tag}", present: { "x-forwarded-for": [TRUSTED] } }],
    }),
  ),
  {
    name: "a trusted proxy's host that is no authority is not handed on",
    setup: "trusting",
    from: TRUSTED,
    send: message("GET /any/{tag} HTTP/1.1", [KEY, "X-Forwarded-Host: forged.test/path"]),
    answers: [[200, 400]],
    upstream: [{ method: "GET", target: "/any/{tag}", maybe: true }],
  },
  {
    name: "a trusted proxy may not say who the caller is",
    setup: "trusting",
    from: TRUSTED,
    send: message("GET /any/{tag} HTTP/1.1", [KEY, "X-Latchkey-Key-Id: forged", "X_Latchkey_Tenant: forged"]),
    answers: [200],
    upstream: [{ method: "GET", target: "/any/{tag}" }],
  },
  {
    name: "a trusted proxy may not choose the route",
    advisory: "GHSA-7x63-xv5r-3p2x",
    setup: "trusting",
    from: TRUSTED,
    send: message("GET /admin/{tag} HTTP/1.1", ["X-Forwarded-Uri: /public/x", "X-Original-URI: /public/x"]),
    answers: [401],
    upstream: "never",
  },
];
