import type { Case } from "../bench/case.ts";
import { byte, message } from "./message.ts";

/** Ways to present nothing, or something that is no key. */
const REFUSED: readonly (readonly [title: string, status: number, lines: readonly string[]])[] = [
  ["no key", 401, []],
  ["an empty key", 401, ["X-API-Key:"]],
  ["a key of blanks", 401, ["X-API-Key:   \t "]],
  ["an empty Bearer", 401, ["Authorization: Bearer"]],
  ["a Bearer of blanks", 401, ["Authorization: Bearer   "]],
  ["an empty Authorization", 401, ["Authorization:"]],
  ["a key nobody registered", 401, ["X-API-Key: {unknown}"]],
  ["a revoked key", 401, ["X-API-Key: {revoked}"]],
  ["a key of another environment", 403, ["X-API-Key: {foreign}"]],
  ["a key of another network", 403, ["X-API-Key: {elsewhere}"]],
  ["two keys in two lines", 400, ["X-API-Key: {key}", "X-API-Key: {other}"]],
  ["two keys in two headers", 400, ["X-API-Key: {key}", "Authorization: Bearer {other}"]],
  ["a key and an unknown one", 400, ["X-API-Key: {key}", "Authorization: Bearer {unknown}"]],
  ["an unknown key and a known one", 400, ["X-API-Key: {unknown}", "Authorization: Bearer {key}"]],
  ["a key and nonsense", 400, ["X-API-Key: {key}", "X-API-Key: x"]],
  ["two Bearers", 400, ["Authorization: Bearer {key}", "Authorization: Bearer {other}"]],
  ["two keys joined by a comma", 401, ["X-API-Key: {key}, {other}"]],
  ["the same key joined to itself", 401, ["X-API-Key: {key}, {key}"]],
  ["two Bearers joined by a comma", 401, ["Authorization: Bearer {key}, Bearer {other}"]],
  ["a Bearer and a Basic joined by a comma", 401, ["Authorization: Bearer {key}, Basic dTpw"]],
  ["a Basic and a Bearer joined by a comma", 401, ["Authorization: Basic dTpw, Bearer {key}"]],
  ["a key with a comma after it", 401, ["X-API-Key: {key},"]],
  ["a key with a semicolon after it", 401, ["X-API-Key: {key};"]],
  ["a key with a blank inside", 401, ["X-API-Key: {key} x"]],
  ["a key in quotation marks", 401, ['X-API-Key: "{key}"']],
  ["a key with a NUL's escape after it", 401, ["X-API-Key: {key}%00"]],
  ["a key with a non-breaking blank after it", 401, [`X-API-Key: {key}${byte(0xa0)}`]],
  ["a key with a byte outside ASCII", 401, [`X-API-Key: {key}${byte(0xe9)}`]],
  ["a key and one letter more", 401, ["X-API-Key: {key}0"]],
  ["a key in capitals", 401, ["X-API-Key: TK_LIVE_A11CE0000000000000000000A11CE001"]],
  ["its secret in capitals", 401, ["X-API-Key: tk_live_A11CE0000000000000000000A11CE001"]],
  ["a scheme where none belongs", 401, ["X-API-Key: Bearer {key}"]],
  ["a key without the scheme", 401, ["Authorization: {key}"]],
  ["another scheme", 401, ["Authorization: Token {key}"]],
  ["the key as a Basic password", 401, ["Authorization: Basic {key}"]],
  ["a scheme that begins like Bearer", 401, ["Authorization: BearerX {key}"]],
  ["a scheme with a colon", 401, ["Authorization: Bearer: {key}"]],
  ["a scheme with an equals sign", 401, ["Authorization: Bearer={key}"]],
  ["a scheme twice", 401, ["Authorization: Bearer Bearer {key}"]],
  ["a tab after the scheme", 401, ["Authorization: Bearer\t{key}"]],
  ["no blank after the scheme", 401, ["Authorization: Bearer{key}"]],
  ["an alias of the header", 401, ["X_API_Key: {key}"]],
  ["another alias of the header", 401, ["X.API.Key: {key}"]],
  ["an alias of Authorization", 401, ["Authorization_: Bearer {key}"]],
  ["a header that nobody configured", 401, ["API-Key: {key}"]],
  ["Proxy-Authorization", 401, ["Proxy-Authorization: Bearer {key}"]],
  ["a cookie", 401, ["Cookie: X-API-Key={key}"]],
  ["a websocket's subprotocol", 401, ["Sec-WebSocket-Protocol: {key}"]],
  ["a very long key", 401, [`X-API-Key: ${"a".repeat(4000)}`]],
];

/** Ways to present one key. */
const ACCEPTED: readonly (readonly [title: string, lines: readonly string[]])[] = [
  ["in its own header", ["X-API-Key: {key}"]],
  ["as Bearer", ["Authorization: Bearer {key}"]],
  ["with the scheme in small letters", ["Authorization: bearer {key}"]],
  ["with the scheme in capitals", ["Authorization: BEARER {key}"]],
  ["with several blanks after the scheme", ["Authorization: Bearer    {key}"]],
  ["with blanks around it", ["X-API-Key:  \t {key} \t "]],
  ["without a blank after the colon", ["X-API-Key:{key}"]],
  ["in a header in small letters", ["x-api-key: {key}"]],
  ["in a header in capitals", ["X-API-KEY: {key}"]],
  ["twice, the same", ["X-API-Key: {key}", "X-API-Key: {key}"]],
  ["in two places, the same", ["X-API-Key: {key}", "Authorization: Bearer {key}"]],
  ["beside an empty one", ["X-API-Key:", "X-API-Key: {key}"]],
  ["beside an empty Bearer", ["Authorization: Bearer ", "X-API-Key: {key}"]],
  ["beside an alias of its header", ["X-API-Key: {key}", "X_API_Key: {other}"]],
  ["beside itself in a tabbed Bearer", ["X-API-Key: {key}", "Authorization: Bearer\t{key}"]],
  ["beside itself under another scheme", ["X-API-Key: {key}", "Authorization: Token {key}"]],
  ["beside itself in a list of schemes", ["X-API-Key: {key}", "Authorization: Basic dTpw, Bearer {key}"]],
  ["beside itself without a scheme", ["X-API-Key: {key}", "Authorization: {key}"]],
  ["beside itself in quotation marks", ["X-API-Key: {key}", 'Authorization: Bearer="{key}"']],
];

const IN_URL: readonly (readonly [title: string, query: string])[] = [
  ["a parameter named like one", "api_key={key}"],
  ["a parameter in camel case", "apiKey={key}"],
  ["a parameter in capitals", "API-KEY={key}"],
  ["an encoded parameter name", "api%5fkey={key}"],
  ["a parameter name in an escape of ASP.NET", "%u0061pi_key={key}"],
  ["an access token", "access_token={key}"],
  ["any other parameter", "q={key}"],
  ["an encoded value", "q=%74k_live_a11ce0000000000000000000a11ce001"],
  ["a bare key", "{key}"],
  ["the last of several parameters", "a=1&b=2&api_key={key}"],
  ["a parameter after a semicolon", "a=1;api_key={key}"],
  ["any other parameter after a semicolon", "a=1;q={key}"],
  ["a parameter with an unknown key", "api_key={unknown}"],
  ["a parameter with no key at all", "api_key=x"],
  ["an encoded ampersand's neighbour", "a=%26&api_key={key}"],
  ["a parameter in brackets", "api_key[]={key}"],
];

/** Which bytes present a key, and that keys travel no further. */
export const CREDENTIAL_CASES: readonly Case[] = [
  ...REFUSED.map(
    ([title, status, lines]): Case => ({
      name: `${title} is refused`,
      send: message("GET /orders/{tag} HTTP/1.1", lines),
      answers: [status],
      upstream: "never",
    }),
  ),
  ...ACCEPTED.map(
    ([title, lines]): Case => ({
      name: `a key ${title} is one key, and does not travel on`,
      send: message("GET /orders/{tag} HTTP/1.1", lines),
      answers: [200],
      upstream: [{ method: "GET", target: "/orders/{tag}", absent: ["x-api-key", "authorization"] }],
    }),
  ),
  ...IN_URL.map(
    ([title, query]): Case => ({
      name: `a key in the URL is refused: ${title}`,
      send: message(`GET /orders/{tag}?${query} HTTP/1.1`, ["X-API-Key: {key}"]),
      answers: [400],
      upstream: "never",
    }),
  ),
  ...IN_URL.map(
    ([title, query]): Case => ({
      name: `a key in a public URL does not travel on: ${title}`,
      send: message(`GET /public/{tag}?x=1&${query}&y=2 HTTP/1.1`),
      answers: [200],
      upstream: [{ method: "GET", target: toStripped(query) }],
    }),
  ),
  {
    name: "a foreign Basic credential passes where keys are Bearer",
    send: message("GET /orders/{tag} HTTP/1.1", ["X-API-Key: {key}", "Authorization: Basic dTpw"]),
    answers: [200],
    upstream: [{ method: "GET", target: "/orders/{tag}", present: { authorization: ["Basic dTpw"] } }],
  },
  {
    name: "a key as request id is neither echoed nor passed on",
    send: message("GET /orders/{tag} HTTP/1.1", ["X-API-Key: {key}", "X-Request-Id: {key}"]),
    answers: [200],
    upstream: [{ method: "GET", target: "/orders/{tag}" }],
  },
  {
    name: "a key as request id of a refused request is not echoed",
    send: message("GET /orders/{tag} HTTP/1.1", ["X-Request-Id: {key}"]),
    answers: [401],
    upstream: "never",
  },
  {
    name: "a key on a public route does not travel on",
    send: message("GET /public/{tag} HTTP/1.1", [
      "X-API-Key: {key}",
      "Authorization: Bearer\t{other}",
      "X_API_Key: {admin}",
    ]),
    answers: [200],
    upstream: [{ method: "GET", target: "/public/{tag}", absent: ["x-api-key", "authorization"] }],
  },
  {
    name: "an unknown key is told nothing of an unknown route",
    send: message("GET /nowhere/{tag} HTTP/1.1", ["X-API-Key: {unknown}"]),
    answers: [401],
    upstream: "never",
    client: { has: ["key_unknown"], lacks: ["route_unknown"] },
  },
  {
    name: "no key is told nothing of an unknown route",
    send: message("GET /nowhere/{tag} HTTP/1.1"),
    answers: [401],
    upstream: "never",
    client: { lacks: ["route_unknown"] },
  },
  {
    name: "a key in a path is not written to the log",
    send: message("GET /nowhere/{key}/{tag} HTTP/1.1"),
    answers: [401],
    upstream: "never",
  },
  {
    name: "an encoded key in a path is not written to the log",
    send: message("GET /nowhere/%74k%5flive_a11ce0000000000000000000a11ce001/{tag} HTTP/1.1"),
    answers: [401],
    upstream: "never",
  },
  {
    name: "a key in a refused target is not written to the log",
    send: message("GET http://api.test/{key}/..#{other}-{tag} HTTP/1.1"),
    answers: [400],
    upstream: "never",
  },
];

/** What is left of a public route's query: nothing that presents a key. */
function toStripped(query: string): string {
  const kept: Readonly<Record<string, string>> = {
    "a=1&b=2&api_key={key}": "x=1&a=1&b=2&y=2",
    "a=1;api_key={key}": "x=1&a=1&y=2",
    "a=1;q={key}": "x=1&a=1&y=2",
    "a=%26&api_key={key}": "x=1&a=%26&y=2",
  };
  return `/public/{tag}?${kept[query] ?? "x=1&y=2"}`;
}
