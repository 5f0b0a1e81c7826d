import type { Case } from "../bench/case.ts";
import { byte, get, hex, KEY, message, toBytes } from "./message.ts";

/** Headers that never arrive as a client sent them, and what reads them. */
const DROPPED: readonly (readonly [name: string, reason: string])[] = [
  ["Forwarded", "RFC 7239"],
  ["Via", "RFC 9110 §7.6.3"],
  ["X-Forwarded", "an old spelling of Forwarded"],
  ["Forwarded-For", "an old spelling of X-Forwarded-For"],
  ["X-Forwarded-Port", "Rails, Spring"],
  ["X-Forwarded-Prefix", "Traefik, Spring, CVE-2026-35051"],
  ["X-Forwarded-Uri", "authorisers"],
  ["X-Forwarded-Method", "authorisers"],
  ["X-Forwarded-Scheme", "Rack"],
  ["X-Forwarded-Ssl", "Rack"],
  ["X-Forwarded-Server", "Apache"],
  ["X-Forwarded-Email", "oauth2-proxy"],
  ["X-Forwarded-Groups", "oauth2-proxy"],
  ["X-Forwarded-Access-Token", "oauth2-proxy"],
  ["X-Forwarded-Client-Cert", "Envoy"],
  ["X-Real-IP", "nginx"],
  ["Client-IP", "PHP, as HTTP_CLIENT_IP"],
  ["X-Client-IP", "several"],
  ["X-Cluster-Client-IP", "Zeus, Rackspace"],
  ["True-Client-IP", "Akamai"],
  ["CF-Connecting-IP", "Cloudflare"],
  ["Fastly-Client-IP", "Fastly"],
  ["Fly-Client-IP", "Fly"],
  ["X-Azure-ClientIP", "Azure"],
  ["X-Originating-IP", "several"],
  ["X-Remote-IP", "several"],
  ["X-Remote-Addr", "several"],
  ["WL-Proxy-Client-IP", "WebLogic"],
  ["Proxy-Client-IP", "WebLogic"],
  ["X-Original-URL", "IIS, Symfony, Zend"],
  ["X-Original-URI", "nginx"],
  ["X-Original-Method", "nginx"],
  ["X-Original-Host", "Azure"],
  ["X-Rewrite-URL", "IIS, Symfony, Zend"],
  ["X-Override-URL", "several"],
  ["X-Host", "several"],
  ["X-HTTP-Host-Override", "several"],
  ["Script-Name", "gunicorn, which cuts this prefix off the path"],
  ["Path-Info", "gunicorn"],
  ["X-Script-Name", "Flask's usual ReverseProxied"],
  ["X-Scheme", "Flask's usual ReverseProxied"],
  ["X-Url-Scheme", "several"],
  ["Front-End-Https", "Exchange"],
  ["X-Sendfile-Type", "Rack::Sendfile, CVE-2025-61780"],
  ["X-Accel-Mapping", "Rack::Sendfile, CVE-2025-61780"],
  ["X-Middleware-Subrequest", "Next.js, CVE-2025-29927"],
  ["X-Envoy-Original-Path", "Envoy"],
  ["X-Envoy-External-Address", "Envoy"],
  ["Proxy", "httpoxy, CVE-2016-5385"],
  ["Keep-Alive", "hop-by-hop"],
  ["Proxy-Connection", "hop-by-hop"],
  ["Proxy-Authenticate", "hop-by-hop"],
  ["Proxy-Authorization", "hop-by-hop"],
  ["TE", "hop-by-hop"],
  ["Trailer", "hop-by-hop"],
  ["Upgrade", "hop-by-hop"],
  ["HTTP2-Settings", "hop-by-hop"],
];

/** Rewritten by Latchkey, so the name arrives, but with its own value. */
const REWRITTEN = new Set(["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"]);

const UNDERSCORED = DROPPED.filter(([name]) => name.includes("-"));

const HOSTS: readonly (readonly [title: string, lines: readonly string[]])[] = [
  ["two hosts that differ", ["Host: api.test", "Host: evil.test"]],
  ["two hosts that agree", ["Host: api.test", "Host: api.test"]],
  ["two hosts, one empty", ["Host: api.test", "Host:"]],
  ["no host", []],
  ["a host with a path", ["Host: api.test/admin"]],
  ["a host with a user", ["Host: user@api.test"]],
  ["a host with a blank", ["Host: api.test evil.test"]],
  ["a host with a query", ["Host: api.test?x"]],
  ["a host with a fragment", ["Host: api.test#x"]],
  ["a host with a backslash", ["Host: api.test\\x"]],
  ["a host with a scheme", ["Host: http://api.test"]],
  ["a host with two ports", ["Host: api.test:80:81"]],
  ["a host with letters for a port", ["Host: api.test:evil"]],
  ["a host with a list", ["Host: api.test, evil.test"]],
  ["a host in quotation marks", ['Host: "api.test"']],
  ["a host with angle brackets", ["Host: <api.test>"]],
  ["a host of bytes outside ASCII", [`Host: ${byte(0xe9)}.test`]],
  ["a host with a bracket that is not closed", ["Host: [::1"]],
  ["a host with a bracket in its middle", ["Host: a[::1]"]],
  ["a folded host", ["Host: api.test\r\n evil.test"]],
  ["a host with a blank before the colon", ["Host : api.test"]],
  ["a tab in a host", ["Host: api.test\tx"]],
];

const GOOD_HOSTS = [
  "api.test",
  "api.test:8080",
  "API.TEST",
  "127.0.0.1",
  "[::1]",
  "[::1]:8080",
  "xn--e1afmkfd.test",
  "a_b.test",
];

const KEPT: readonly (readonly [name: string, value: string])[] = [
  ["Accept", "*/*"],
  ["Cookie", "a=b; c=d"],
  ["Content-Type", "application/json"],
  ["If-None-Match", '"x"'],
  ["Range", "bytes=0-1"],
  ["Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
  ["Origin", "https://app.test"],
  ["X-Custom", "value"],
  ["X-Latin", `caf${byte(0xe9)}`],
  ["X-Utf-8", `caf${byte(0xc3)}${byte(0xa9)}`],
  ["X-Tab", "a\tb"],
  ["X-Empty", ""],
  ["X-Quoted", '"a, b\\"c"'],
  ["Constructor", "x"],
  ["ToString", "x"],
];

/** What becomes of header lines other than the credential's and the identity's. */
export const HEADERS_CASES: readonly Case[] = [
  ...DROPPED.map(
    ([name, reason]): Case => ({
      name: `${name} does not arrive as sent (${reason})`,
      send: get("/any/{tag}", `${name}: forged`),
      answers: [200],
      upstream: [{ method: "GET", target: "/any/{tag}", absent: REWRITTEN.has(name.toLowerCase()) ? [] : [name] }],
    }),
  ),
  ...UNDERSCORED.map(
    ([name, reason]): Case => ({
      name: `${name} does not arrive with underscores (${reason})`,
      advisory: "CVE-2025-64484",
      send: get("/any/{tag}", `${name.replaceAll("-", "_").toUpperCase()}: forged`),
      answers: [200],
      upstream: [{ method: "GET", target: "/any/{tag}", absent: REWRITTEN.has(name.toLowerCase()) ? [] : [name] }],
    }),
  ),
  ...HOSTS.map(
    ([title, lines]): Case => ({
      name: `a request with ${title} is refused`,
      send: toBytes(["GET /any/{tag} HTTP/1.1", ...lines, "X-Case: {tag}", KEY, "Connection: close"]),
      answers: [400],
      upstream: "never",
    }),
  ),
  ...GOOD_HOSTS.map(
    (host): Case => ({
      name: `the host ${host} arrives as sent`,
      send: toBytes(["GET /any/{tag} HTTP/1.1", `Host: ${host}`, "X-Case: {tag}", KEY, "Connection: close"]),
      answers: [200],
      upstream: [{ method: "GET", target: "/any/{tag}", present: { host: [host], "x-forwarded-host": [host] } }],
    }),
  ),
  ...KEPT.map(
    ([name, value]): Case => ({
      name: `${name} arrives as sent`,
      send: get("/any/{tag}", `${name}: ${value}`),
      answers: [200],
      upstream: [{ method: "GET", target: "/any/{tag}", present: { [name.toLowerCase()]: [value] } }],
    }),
  ),
  {
    name: "a header on two lines arrives on two",
    send: get("/any/{tag}", "X-Twice: a", "X-Twice: b"),
    answers: [200],
    upstream: [{ method: "GET", target: "/any/{tag}", present: { "x-twice": ["a", "b"] } }],
  },
  {
    name: "what Connection nominates does not arrive",
    send: get("/any/{tag}", "X-Hop: forged", "Connection: X-Hop"),
    answers: [200],
    upstream: [{ method: "GET", target: "/any/{tag}", absent: ["x-hop"] }],
  },
  {
    name: "an alias of Connection nominates nothing",
    send: get("/any/{tag}", "X-Kept: value", "Connection_: X-Kept", "Proxy_Connection: X-Kept"),
    answers: [200],
    upstream: [{ method: "GET", target: "/any/{tag}", present: { "x-kept": ["value"] } }],
  },
  {
    name: "a plain request id is kept",
    send: get("/any/{tag}", "X-Request-Id: {tag}"),
    answers: [200],
    upstream: [{ method: "GET", target: "/any/{tag}", present: { "x-request-id": ["{tag}"] } }],
  },
  ...["forged id", 'forged"', "forged\\", "<forged>", `forged${byte(0xe9)}`, "forged;", "f".repeat(129)].map(
    (value): Case => ({
      name: `the request id ${JSON.stringify(value.slice(0, 20))} is replaced`,
      send: get("/any/{tag}", `X-Request-Id: ${value}`),
      answers: [200],
      upstream: [{ method: "GET", target: "/any/{tag}" }],
      client: { lacks: [`X-Request-Id: ${value}`] },
    }),
  ),
  {
    name: "two request ids are replaced by one of ours",
    send: get("/any/{tag}", "X-Request-Id: forged-1", "X-Request-Id: forged-2"),
    answers: [200],
    upstream: [{ method: "GET", target: "/any/{tag}" }],
  },
  ...[0x80, 0xa0, 0xff].map(
    (code): Case => ({
      name: `the byte ${hex(code)} in a value arrives as that byte`,
      send: message("GET /any/{tag} HTTP/1.1", [KEY, `X-A: a${byte(code)}b`]),
      answers: [200],
      upstream: [{ method: "GET", target: "/any/{tag}", present: { "x-a": [`a${byte(code)}b`] } }],
    }),
  ),
];
