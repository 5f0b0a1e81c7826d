import type { Case } from "../bench/case.ts";
import { byte, CHUNKED, chunked, hex, KEY, keepAlive, message, SMUGGLED, toBytes } from "./message.ts";

/** The one address whose descriptions are believed, and one whose are not. */
const GATEWAY = "127.0.0.2";
const STRANGER = "127.0.0.3";

/** What every gateway writes of where a request comes from. */
const ORIGIN: readonly string[] = ["X-Forwarded-For: 198.51.100.7", "X-Forwarded-Proto: https"];

/** How a gateway asks about a request: the first line of its call, and the lines that describe. */
interface Asking {
  readonly name: string;
  readonly line: (target: string, method: string) => string;
  readonly describing: (target: string, method: string) => readonly string[];
}

const HEADER_LINE = () => "GET /authorize HTTP/1.1";

const NGINX: Asking = {
  name: "nginx",
  line: HEADER_LINE,
  describing: (target, method) => [`X-Original-URI: ${target}`, `X-Original-Method: ${method}`],
};
const FORWARD: Asking = {
  name: "forward-auth",
  line: HEADER_LINE,
  describing: (target, method) => [`X-Forwarded-Method: ${method}`, `X-Forwarded-Uri: ${target}`],
};
const ENVOY: Asking = {
  name: "Envoy",
  line: (target, method) => `${method} /authorize${target} HTTP/1.1`,
  describing: () => [],
};
const ALL: readonly Asking[] = [NGINX, FORWARD, ENVOY];

const PUBLIC = "/public/{tag}";
const ORDER = "/orders/{tag}";
const ADMIN = "/admin/{tag}";

const ask = (asking: Asking, target: string, lines: readonly string[] = [], method = "GET"): string =>
  message(asking.line(target, method), [...asking.describing(target, method), ...ORIGIN, ...lines]);

/** Nothing ever reaches the upstream from here: what counts is who is told 200, and with which identity. */
const asked = (name: string, send: Case["send"], answers: Case["answers"], more: Partial<Case> = {}): Case => ({
  setup: "authoriser",
  from: GATEWAY,
  name,
  send,
  answers,
  upstream: "never",
  client: { lacks: ["forged"] },
  ...more,
});

const AS_ALICE = { has: ["X-Latchkey-Key-Id: alice\r\n", "X-Latchkey-Tenant: bakery\r\n"], lacks: ["forged"] } as const;
const UNTOLD = { lacks: ["X-Latchkey-", "X-Request-Id", "problem+json"] } as const;

const ORDINARY: readonly Case[] = ALL.flatMap((asking) => [
  asked(`${asking.name} is told who calls`, ask(asking, ORDER, [KEY]), [200], { client: AS_ALICE }),
  asked(`${asking.name} is told 401 without a key`, ask(asking, ORDER), [401]),
  asked(`${asking.name} is told 200 of a public route, and of nobody`, ask(asking, PUBLIC, [KEY]), [200], {
    client: { lacks: ["alice", "bakery"] },
  }),
]);

/** By which a stranger might pass for the gateway. */
const DISGUISES: readonly (readonly string[])[] = [
  [],
  [`X-Real-IP: ${GATEWAY}`, `Client-IP: ${GATEWAY}`],
  [`X-Forwarded-For: ${GATEWAY}`],
  [`Forwarded: for=${GATEWAY}`, "Via: 1.1 gateway"],
  ["X-Latchkey-Authorizer-Token: gateway"],
  ["Authorization: Bearer gateway"],
];

const STRANGERS: readonly Case[] = ALL.flatMap((asking) =>
  DISGUISES.flatMap((lines) =>
    [PUBLIC, ORDER].map((target) =>
      asked(
        `a stranger describes ${target} as ${asking.name} does, with ${JSON.stringify(lines)}`,
        ask(asking, target, [KEY, ...lines]),
        [403],
        { advisory: "GHSA-7x63-xv5r-3p2x", from: STRANGER, client: UNTOLD },
      ),
    ),
  ),
);

/** Describing headers of a client that the gateway hands on beside its own. */
const SECOND_DESCRIPTIONS: readonly (readonly string[])[] = [
  [`X-Forwarded-Uri: ${PUBLIC}`, "X-Forwarded-Method: GET"],
  [`X-Original-URI: ${PUBLIC}`, "X-Original-Method: GET"],
  [`X-Original-URL: ${PUBLIC}`, "X-Original-Method: GET"],
  [`X-Original-URL: https://api.test${PUBLIC}`, "X-Original-Method: GET"],
  [`X-Forwarded-Uri: ${PUBLIC}`],
  [`X-Original-URI: ${PUBLIC}`],
  [`X-Original-URL: ${PUBLIC}`],
  ["X-Forwarded-Uri:"],
  ["X-Original-URI:"],
  ["X-Forwarded-Method: HEAD"],
  ["X-Original-Method: HEAD"],
  [`x-forwarded-uri: ${PUBLIC}`, "x-forwarded-method: GET"],
];

const SECOND: readonly Case[] = ALL.flatMap((asking) =>
  SECOND_DESCRIPTIONS.map((lines) =>
    asked(
      `beside the description of ${asking.name} stands ${JSON.stringify(lines)}`,
      ask(asking, ADMIN, [KEY, ...lines]),
      [400],
      { advisory: "GHSA-7x63-xv5r-3p2x" },
    ),
  ),
);

/** Spellings that only some reader takes for a describing header: they change nothing. */
const ALIASES: readonly Case[] = ["X_Forwarded_Uri", "X.Forwarded.Uri", "X_Original_URI", "X-Original-Uri~"].flatMap(
  (name) =>
    ALL.map((asking) =>
      asked(`${name} does not describe for ${asking.name}`, ask(asking, ADMIN, [`${name}: ${PUBLIC}`]), [401], {
        advisory: "GHSA-7x63-xv5r-3p2x",
      }),
    ),
);

/** Half a description, twice one, none. Each is refused although what stands there would pass. */
const INCOMPLETE: readonly (readonly [what: string, lines: readonly string[]])[] = [
  ["nothing", []],
  ["no method", [`X-Original-URI: ${PUBLIC}`]],
  ["no method", [`X-Original-URL: ${PUBLIC}`]],
  ["no method", [`X-Forwarded-Uri: ${PUBLIC}`]],
  ["no target", ["X-Original-Method: GET"]],
  ["no target", ["X-Forwarded-Method: GET"]],
  ["two halves", [`X-Original-URI: ${PUBLIC}`, "X-Forwarded-Method: GET"]],
  ["two halves", [`X-Forwarded-Uri: ${PUBLIC}`, "X-Original-Method: GET"]],
  ["an empty target", ["X-Original-URI:", "X-Original-Method: GET"]],
  ["an empty method", [`X-Forwarded-Uri: ${PUBLIC}`, "X-Forwarded-Method:"]],
  ["a target twice", [`X-Original-URI: ${PUBLIC}`, `X-Original-URI: ${PUBLIC}`, "X-Original-Method: GET"]],
  ["two targets", [`X-Original-URI: ${PUBLIC}`, `X-Original-URI: ${ADMIN}`, "X-Original-Method: GET"]],
  ["two targets", [`X-Forwarded-Uri: ${ADMIN}`, `X-Forwarded-Uri: ${PUBLIC}`, "X-Forwarded-Method: GET"]],
  ["two URLs", [`X-Original-URL: ${PUBLIC}`, `X-Original-URL: ${ADMIN}`, "X-Original-Method: GET"]],
  ["a URI and another URL", [`X-Original-URI: ${PUBLIC}`, `X-Original-URL: ${ADMIN}`, "X-Original-Method: GET"]],
  ["two methods", [`X-Original-URI: ${PUBLIC}`, "X-Original-Method: GET", "X-Original-Method: DELETE"]],
  ["a method twice", [`X-Forwarded-Uri: ${PUBLIC}`, "X-Forwarded-Method: GET", "x-forwarded-method: GET"]],
  ["joined methods", [`X-Forwarded-Uri: ${PUBLIC}`, "X-Forwarded-Method: GET, DELETE"]],
  ["joined targets", [`X-Forwarded-Uri: ${PUBLIC}, ${ADMIN}`, "X-Forwarded-Method: GET"]],
];

const DESCRIPTIONS: readonly Case[] = INCOMPLETE.map(([what, lines]) =>
  asked(
    `a description with ${what}: ${JSON.stringify(lines)}`,
    message(HEADER_LINE(), [...lines, ...ORIGIN, KEY]),
    [400],
  ),
);

/** Targets that some reader takes for a public path, or that are none. Without a key none of them may pass. */
const TARGETS: readonly (readonly [target: string, status: number, advisory?: string])[] = [
  ["/public/../admin/{tag}", 400],
  ["/public/%2e%2e/admin/{tag}", 400],
  ["/public/%2E./admin/{tag}", 400],
  ["/public/..%2fadmin/{tag}", 400],
  ["/public%2f..%2fadmin/{tag}", 400],
  ["/public/%252e%252e/admin/{tag}", 400],
  ["/public/..;/admin/{tag}", 400],
  ["/public/;x=1/admin/{tag}", 400],
  ["/public/..%5cadmin/{tag}", 400],
  ["/public/..\\admin/{tag}", 400],
  ["/public/%c0%ae%c0%ae/admin/{tag}", 400],
  ["/public//{tag}", 400],
  ["//public/{tag}", 400],
  ["//api.test/public/{tag}", 400],
  ["/./public/{tag}", 400],
  ["/public/%00{tag}", 400],
  ["/public/%zz{tag}", 400],
  ["/public/%2f{tag}", 400],
  ["/admin/{tag}%2f..%2f..%2fpublic%2fx", 400],
  ["/admin/../public/{tag}", 400],
  ["/admin/{tag}?/public/x", 401, "GHSA-7rh7-c77v-6434"],
  ["/admin/{tag}?x=/../public/x", 401, "GHSA-7rh7-c77v-6434"],
  ["/admin/{tag}?/../../public/x", 401, "GHSA-7rh7-c77v-6434"],
  ["/admin/{tag}%3f/../public/x", 400, "GHSA-7rh7-c77v-6434"],
  ["/admin/{tag}%3f/public/x", 400, "GHSA-7rh7-c77v-6434"],
  ["/public/x%3f/../../admin/{tag}", 400, "GHSA-7rh7-c77v-6434"],
  ["/admin/{tag}#/public/x", 400, "GHSA-pxq7-h93f-9jrg"],
  ["/public/x#/../../admin/{tag}", 400, "GHSA-pxq7-h93f-9jrg"],
  ["/public/{tag}#", 400, "GHSA-pxq7-h93f-9jrg"],
  ["/admin/{tag}%23/public/x", 400, "GHSA-pxq7-h93f-9jrg"],
  ["/admin/{tag}?x#/public/x", 400, "GHSA-pxq7-h93f-9jrg"],
  ["/PUBLIC/{tag}", 401],
  ["/public{tag}", 401],
  ["/livez", 401],
  ["/metrics", 401],
  ["/-/reload", 401],
  ["/authorize/public/{tag}", 401],
];

const TARGET_CASES: readonly Case[] = ALL.flatMap((asking) =>
  TARGETS.map(([target, status, advisory]) =>
    asked(
      `${asking.name} describes ${target}`,
      ask(asking, target),
      // A fragment in the call's own first line is refused by the parser, before there is a request.
      [status],
      advisory === undefined ? {} : { advisory },
    ),
  ),
);

/** Targets in forms that only a request line has. */
const ABSOLUTE: readonly (readonly [line: string, status: number])[] = [
  [`X-Original-URI: http://api.test${PUBLIC}`, 400],
  ["X-Original-URI: *", 400],
  ["X-Original-URI: public/{tag}", 400],
  ["X-Original-URI: ?/public/{tag}", 400],
  [`X-Original-URL: http://api.test${PUBLIC}`, 200],
  [`X-Original-URL: https://[2001:db8::1]:8443${PUBLIC}`, 200],
  [`X-Original-URL: http://user@api.test${PUBLIC}`, 400],
  [`X-Original-URL: http://api.test:80:80${PUBLIC}`, 400],
  [`X-Original-URL: http://${PUBLIC}`, 400],
  ["X-Original-URL: http:public/{tag}", 400],
  [`X-Original-URL: http:/${PUBLIC}`, 401],
  [`X-Original-URL: ftp://api.test${PUBLIC}`, 400],
  ["X-Original-URL: http://api.test?/public/{tag}", 400],
  ["X-Original-URL: http://api.test#/public/{tag}", 400],
  ["X-Original-URL: http://api.test\\public/{tag}", 400],
  // The authority is the client's own Host field.
  [`X-Original-URL: http://x?${PUBLIC}?/admin/{tag}`, 400],
  [`X-Original-URL: http://x#${PUBLIC}/admin/{tag}`, 400],
  [`X-Original-URL: http://api.test${PUBLIC}#/admin`, 400],
  [`X-Original-URL: http://api.test//api.test${PUBLIC}`, 400],
  [`X-Original-URL: http://api.test http://api.test${PUBLIC}`, 400],
];

const FORMS: readonly Case[] = [
  ...ABSOLUTE.map(([line, status]) =>
    asked(`nginx writes ${line}`, message(HEADER_LINE(), [line, "X-Original-Method: GET", ...ORIGIN]), [status]),
  ),
  asked("Traefik writes a whole URL", ask(FORWARD, `http://api.test${PUBLIC}`), [400]),
];

/** First lines of a call, most of which are no call: the admin port says of them what it says of any path. */
const PATHS: readonly (readonly [path: string, status: number])[] = [
  ["/authorize/../public/{tag}", 400],
  ["/authorize/../livez", 400],
  ["/authorize/../metrics", 400],
  ["/authorize/..%2flivez", 400],
  ["/authorize/%2e%2e/livez", 400],
  ["/authorize//public/{tag}", 400],
  ["/authorize/./public/{tag}", 400],
  ["/authorize/-/reload", 401],
  ["/authorize/livez", 401],
  ["/authorize/", 401],
  ["/%61uthorize/public/{tag}", 401],
  ["/authorize%2fpublic/{tag}", 401],
  ["/authorize%3f/public/{tag}", 401],
  ["/AUTHORIZE/public/{tag}", 401],
  ["/authorizepublic/{tag}", 401],
  ["/authorize;/public/{tag}", 401],
  ["//authorize/public/{tag}", 401],
  ["/./authorize/public/{tag}", 401],
  ["/livez/../authorize/public/{tag}", 401],
  ["/probe/../authorize/public/{tag}", 404],
  ["http://api.test/authorize/public/{tag}", 401],
  ["*", 401],
];

const PREFIX: readonly Case[] = [
  ...PATHS.map(([path, status]) =>
    asked(`a call of ${path}`, message(`GET ${path} HTTP/1.1`, [...ORIGIN, KEY.replace("key", "unknown")]), [status]),
  ),
  ...["GET /-/shadow", "POST /-/reload", "GET /"].map((line) =>
    asked(`a trusted peer may not ask for ${line}`, message(`${line} HTTP/1.1`, [...ORIGIN, KEY]), [401]),
  ),
  asked("a query of Envoy's client is no query of the call", ask(ENVOY, `${ADMIN}?compat=nginx`), [401]),
  asked("a client behind Caddy chooses no contract", caddyWith("?compat=nginx&x=1"), [401]),
  ...["?compat=none", "?compat=nginx&compat=nginx", "?COMPAT=nginx", "?x", "??"].map((query) =>
    asked(`nginx asks with ${query}`, ask({ ...NGINX, line: () => `GET /authorize${query} HTTP/1.1` }, PUBLIC), [400]),
  ),
];

function caddyWith(query: string): string {
  return ask({ ...FORWARD, line: () => `GET /authorize${query} HTTP/1.1` }, ADMIN);
}

/** What a client might write to choose, or to hide, where it comes from. The key passes from 203.0.113.0/24 only. */
const ADDRESSES: readonly (readonly [lines: readonly string[], status: number])[] = [
  [["X-Forwarded-For: 203.0.113.9"], 200],
  [["X-Forwarded-For: 6.6.6.6, 203.0.113.9"], 200],
  [[`X-Forwarded-For: 203.0.113.9, ${GATEWAY}`], 200],
  [["X-Forwarded-For: 203.0.113.9, 6.6.6.6"], 403],
  [["X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 6.6.6.6"], 403],
  [[`X-Forwarded-For: ${GATEWAY}`], 403],
  [["X-Forwarded-For: 6.6.6.6", "X-Real-IP: 203.0.113.9", "Client-IP: 203.0.113.9"], 403],
  [["X-Forwarded-For: 6.6.6.6", "Forwarded: for=203.0.113.9", "X_Forwarded_For: 203.0.113.9"], 403],
  [[], 400],
  [["X-Forwarded-For:"], 400],
  [["X-Forwarded-For: unknown"], 400],
  [["X-Forwarded-For: 203.0.113.9,"], 400],
  [["X-Forwarded-For: 203.0.113.9, _hidden"], 400],
  [["X-Forwarded-For: 0xcb.0.113.9"], 400],
  [["X-Forwarded-For: 3405803785"], 400],
  [["X_Forwarded_For: 203.0.113.9"], 400],
  [["X-Real-IP: 203.0.113.9"], 400],
];

const ADDRESS: readonly Case[] = ALL.flatMap((asking) =>
  ADDRESSES.map(([lines, status]) =>
    asked(
      `${asking.name} states ${JSON.stringify(lines)}`,
      message(asking.line(ORDER, "GET"), [...asking.describing(ORDER, "GET"), "X-API-Key: {elsewhere}", ...lines]),
      [status],
    ),
  ),
);

/** `X-Forwarded-Host` and `Host` name no route. */
const HOSTS: readonly Case[] = [
  ["X-Forwarded-Host: api.test/public/x"],
  ["X-Forwarded-Host: public"],
  ["X-Forwarded-Host: a", "X-Forwarded-Host: b"],
  ["X-Forwarded-Host: [", "X-Forwarded-Prefix: /public", "X-Forwarded-Port: 0"],
  ["X-Forwarded-Server: forged", "X-Original-Host: forged", "X-Host: forged"],
].flatMap((lines) =>
  ALL.flatMap((asking) => [
    asked(`${asking.name} with ${JSON.stringify(lines)} needs its key`, ask(asking, ADMIN, lines), [401]),
    asked(`${asking.name} with ${JSON.stringify(lines)} and a key`, ask(asking, ORDER, [KEY, ...lines]), [200], {
      client: AS_ALICE,
    }),
  ]),
);

/** Identity headers a client brings: the gateway would forward them, and cannot be told to drop every spelling. */
const SPOOFS: readonly (readonly [line: string, advisory: string])[] = [
  ["X-Latchkey-Key-Id: forged", "GHSA-49wc-4hcv-v58q"],
  ["x-latchkey-key-id: forged", "GHSA-49wc-4hcv-v58q"],
  ["X-Latchkey-Region: forged", "GHSA-7r4p-vjf4-gxv4"],
  ["X-Latchkey-Assertion: forged", "GHSA-7r4p-vjf4-gxv4"],
  ["X-Latchkey-Authorizer-Token: forged", "GHSA-49wc-4hcv-v58q"],
  ["X_Latchkey_Key_Id: forged", "CVE-2025-64484"],
  ["x_latchkey_tenant: forged", "CVE-2025-64484"],
  ["X-Latchkey_Key-Id: forged", "CVE-2025-64484"],
  ...[..."!#$%&'*+.^`|~"].map((sign) => [`X-Latchkey${sign}Key${sign}Id: forged`, "CVE-2026-88011"] as const),
  ["Connection: x-latchkey-key-id", "CVE-2022-31813"],
  ["Connection: keep-alive, X_Latchkey_Tenant", "CVE-2022-31813"],
];

const SPOOFED: readonly Case[] = ALL.flatMap((asking) =>
  SPOOFS.flatMap(([line, advisory]) => [
    asked(`${asking.name} hands on ${line} for a public route`, ask(asking, PUBLIC, [line]), [400], { advisory }),
    asked(`${asking.name} hands on ${line} with a key`, ask(asking, ORDER, [KEY, line]), [400], { advisory }),
  ]),
);

/** Headers by which apps serve another path or method than the one that was authorised. */
const OVERRIDES = [
  "X-HTTP-Method-Override: DELETE",
  "X-HTTP-Method: DELETE",
  "X-Method-Override: DELETE",
  "X_HTTP_Method_Override: DELETE",
  "X-Rewrite-URL: /admin/x",
  "X-Override-URL: /admin/x",
  "Script-Name: /admin",
  "Path_Info: /admin/x",
  "X-Script-Name: /public",
  "X-Middleware-Subrequest: middleware",
  "Proxy: http://evil.test",
];

const METHODS: readonly Case[] = [
  ...ALL.flatMap((asking) => [
    ...OVERRIDES.map((line) =>
      asked(`${asking.name} hands on ${line}`, ask(asking, ORDER, ["X-API-Key: {reader}", line]), [400]),
    ),
    ...["_method=DELETE", "a=1&_method=DELETE", "a=1;_method=DELETE", "X-HTTP-Method-Override=DELETE"].map((query) =>
      asked(`${asking.name} hands on ?${query}`, ask(asking, `${ORDER}?${query}`, ["X-API-Key: {reader}"]), [400]),
    ),
    asked(`${asking.name} asks about a POST`, ask(asking, ORDER, ["X-API-Key: {reader}"], "POST"), [403]),
    asked(`${asking.name} asks about a DELETE without a key`, ask(asking, PUBLIC, [], "DELETE"), [401]),
    asked(`${asking.name} asks about a HEAD`, ask(asking, ORDER, [KEY], "HEAD"), [200], { client: AS_ALICE }),
  ]),
  ...[NGINX, FORWARD].flatMap((asking) =>
    ["get", "GET ", "TRACE", "CONNECT", "G", "*", "GET\t", "GET HTTP/1.1", "PROPFIND\u00a0", "constructor"]
      .filter((method) => method.trim() === method)
      .map((method) => asked(`${asking.name} states the method ${method}`, ask(asking, PUBLIC, [], method), [400])),
  ),
  asked("Envoy asks about a TRACE", ask(ENVOY, PUBLIC, [], "TRACE"), [400]),
  asked("Envoy asks about a CONNECT", ask(ENVOY, PUBLIC, [], "CONNECT"), []),
  asked("Envoy asks by a method there is not", ask(ENVOY, PUBLIC, [], "BREW"), [400]),
  asked(
    "Traefik asks by the original method",
    ask({ ...FORWARD, line: () => "DELETE /authorize HTTP/1.1" }, ORDER, ["X-API-Key: {reader}"]),
    [200],
  ),
];

/** Bytes that no description may hold. */
const BYTES: readonly Case[] = [
  0x00, 0x01, 0x08, 0x0a, 0x0b, 0x0d, 0x1f, 0x20, 0x09, 0x22, 0x3c, 0x5c, 0x7f, 0x80, 0xa0, 0xc0, 0xff,
].flatMap((code) =>
  [NGINX, FORWARD].map((asking) =>
    asked(`${asking.name} states a target with ${hex(code)}`, ask(asking, `/public/a${byte(code)}{tag}`), [400]),
  ),
);

const CREDENTIALS: readonly Case[] = ALL.flatMap((asking) => [
  asked(`${asking.name} hands on two keys`, ask(asking, ORDER, [KEY, "X-API-Key: {other}"]), [400]),
  asked(
    `${asking.name} hands on two keys, in two places`,
    ask(asking, ORDER, [KEY, "Authorization: Bearer {other}"]),
    [400],
  ),
  asked(`${asking.name} hands on a key in the query`, ask(asking, `${ORDER}?api_key={key}`, [KEY]), [400]),
  asked(`${asking.name} hands on a key in the query of a public route`, ask(asking, `${PUBLIC}?x={key}`), [400]),
  asked(`${asking.name} hands on an unknown key`, ask(asking, ORDER, ["X-API-Key: {unknown}"]), [401]),
  asked(`${asking.name} hands on a key of another environment`, ask(asking, ORDER, ["X-API-Key: {foreign}"]), [403]),
  asked(`${asking.name} hands on a revoked key`, ask(asking, ORDER, ["X-API-Key: {revoked}"]), [401]),
  asked(`${asking.name} hands on a key without the scope`, ask(asking, ADMIN, [KEY]), [403]),
  asked(`${asking.name} hands on the key under an alias`, ask(asking, ORDER, ["X_API_Key: {key}"]), [401]),
]);

const lines = (count: number): readonly string[] => Array.from({ length: count }, (_, at) => `X-Line-${at}: x`);

const SIZES: readonly Case[] = ALL.flatMap((asking) => [
  asked(`${asking.name} describes a target of 20,000 bytes`, ask(asking, `/public/${"page-".repeat(4000)}`), [431]),
  asked(
    `${asking.name} hands on a header of 20,000 bytes`,
    ask(asking, PUBLIC, [`X-Large: ${"page-".repeat(4000)}`]),
    [431],
  ),
  asked(`${asking.name} hands on 100 lines`, ask(asking, PUBLIC, lines(100)), [431]),
  // Node would drop lines beyond its own limit unseen (CVE-2026-58044): here the one that forges stands last.
  asked(`${asking.name} hands on 2,100 short lines`, ask(asking, PUBLIC, [...shortLines(2100)]), [431]),
  asked(`${asking.name} describes a target of 3,000 bytes`, ask(asking, `/public/${"page-".repeat(600)}`), [200]),
]);

function shortLines(count: number): readonly string[] {
  return Array.from({ length: count }, () => "a:");
}

const FRAMING: readonly Case[] = [
  asked(
    "a body of a call is not read as another call",
    message(
      HEADER_LINE(),
      [...FORWARD.describing(ORDER, "POST"), ...ORIGIN, KEY, `Content-Length: ${SMUGGLED.length}`],
      SMUGGLED,
    ),
    [200],
  ),
  asked(
    "a chunked body of a call is not read as another call",
    message(HEADER_LINE(), [...NGINX.describing(ORDER, "POST"), ...ORIGIN, KEY, CHUNKED], chunked(SMUGGLED)),
    [200],
  ),
  asked(
    "a call with two lengths is refused",
    message(
      HEADER_LINE(),
      [...FORWARD.describing(PUBLIC, "GET"), ...ORIGIN, "Content-Length: 0", "Content-Length: 5"],
      "hello",
    ),
    [400],
  ),
  asked(
    "a call with a length and a coding is refused",
    message(
      HEADER_LINE(),
      [...FORWARD.describing(PUBLIC, "GET"), ...ORIGIN, "Content-Length: 3", CHUNKED],
      chunked("x"),
    ),
    [400],
  ),
  asked(
    "an identity in the trailers of a call is none",
    message(
      HEADER_LINE(),
      [...FORWARD.describing(ORDER, "POST"), ...ORIGIN, KEY, CHUNKED, "Trailer: X-Latchkey-Key-Id"],
      "0\r\nX-Latchkey-Key-Id: forged\r\n\r\n",
    ),
    [200],
    { advisory: "CVE-2026-88004", client: AS_ALICE },
  ),
  asked(
    "a description in the trailers of a call is none",
    message(
      HEADER_LINE(),
      [...FORWARD.describing(ADMIN, "POST"), ...ORIGIN, CHUNKED],
      `0\r\nX-Forwarded-Uri: ${PUBLIC}\r\nX-Original-URI: ${PUBLIC}\r\n\r\n`,
    ),
    [401],
    { advisory: "CVE-2026-88004" },
  ),
  asked(
    "calls on one connection are decided each for itself",
    `${keepAlive(HEADER_LINE(), [...FORWARD.describing(ORDER, "GET"), ...ORIGIN, KEY])}${ask(FORWARD, ORDER)}`,
    [200, 401],
  ),
  asked(
    "an upgrade is decided like any request",
    toBytes([
      HEADER_LINE(),
      "Host: api.test",
      "X-Case: {tag}",
      ...FORWARD.describing(ORDER, "GET"),
      ...ORIGIN,
      KEY,
      "Connection: Upgrade, close",
      "Upgrade: websocket",
    ]),
    [200],
    { client: AS_ALICE },
  ),
  asked(
    "a folded describing header is refused",
    ask(FORWARD, PUBLIC, ["X-Other: a\r\n X-Forwarded-Uri: /admin"]),
    [400],
  ),
  asked(
    "a describing header with a blank before its colon is refused",
    ask(NGINX, PUBLIC, ["X-Original-URI : /admin"]),
    [400],
  ),
];

/** A gateway asks about a request it forwards itself: whose word is taken, and for what. */
export const AUTHORISER_CASES: readonly Case[] = [
  ...ORDINARY,
  ...STRANGERS,
  ...SECOND,
  ...ALIASES,
  ...DESCRIPTIONS,
  ...TARGET_CASES,
  ...FORMS,
  ...PREFIX,
  ...ADDRESS,
  ...HOSTS,
  ...SPOOFED,
  ...METHODS,
  ...BYTES,
  ...CREDENTIALS,
  ...SIZES,
  ...FRAMING,
];
