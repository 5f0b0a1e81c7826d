import type { Case } from "../bench/case.ts";
import { SEPARATORS } from "./identity.ts";
import { CHUNKED, chunk, get, KEY, message, post } from "./message.ts";

const OVERRIDES = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"] as const;

/** Query parameters some framework takes for the method, and what is left of the query. */
const PARAMETERS: readonly (readonly [title: string, query: string, left: string])[] = [
  ["_method", "a=1&_method=DELETE&b=2", "?a=1&b=2"],
  ["_method alone", "_method=DELETE", ""],
  ["_method first", "_method=DELETE&a=1", "?a=1"],
  ["_METHOD", "a=1&_METHOD=DELETE", "?a=1"],
  ["an encoded underscore", "a=1&%5fmethod=DELETE", "?a=1"],
  ["encoded letters", "a=1&_%6dethod=DELETE", "?a=1"],
  ["_method in brackets, as qs reads it", "a=1&[_method]=DELETE", "?a=1"],
  ["_method in encoded brackets", "a=1&%5b_method%5d=DELETE", "?a=1"],
  ["_method as a list", "a=1&_method[]=DELETE", "?a=1"],
  ["_method with a blank before it, as PHP trims it", "a=1&+_method=DELETE", "?a=1"],
  ["_method with an encoded blank before it", "a=1&%20_method=DELETE", "?a=1"],
  ["a dot, as PHP rewrites it", "a=1&.method=DELETE", "?a=1"],
  ["a NUL after it, where PHP ends a name", "a=1&_method%00x=DELETE", "?a=1"],
  ["_method after a semicolon", "a=1;_method=DELETE", "?a=1"],
  ["_method between semicolons", "a=1;_method=DELETE;b=2", "?a=1;b=2"],
  ["_method twice", "_method=PUT&a=1&_method=DELETE", "?a=1"],
  ["_method without a value", "a=1&_method", "?a=1"],
  ["X-HTTP-Method-Override, as ASP.NET reads it", "a=1&X-HTTP-Method-Override=DELETE", "?a=1"],
  ["X-HTTP-Method-Override in an escape of ASP.NET", "a=1&X-HTTP-%u004dethod-Override=DELETE", "?a=1"],
  ["_method in an escape of ASP.NET", "a=1&%u005fmethod=DELETE", "?a=1"],
  ["x_http_method_override", "a=1&x_http_method_override=DELETE", "?a=1"],
  ["X-HTTP-Method", "a=1&X-HTTP-Method=DELETE", "?a=1"],
  ["X-Method-Override", "a=1&X-Method-Override=DELETE", "?a=1"],
];

const REFUSED_METHODS: readonly (readonly [method: string, statuses: readonly number[]])[] = [
  ["TRACE", [400]],
  ["CONNECT", [400]],
  ["get", [400]],
  ["Get", [400]],
  ["gET", [400]],
  ["post", [400]],
  ["FOO", [400]],
  ["GETX", [400]],
  ["G", [400]],
  ["GET,POST", [400]],
  ["GET;DELETE", [400]],
  ["TRACK", [400]],
  ["DEBUG", [400]],
  ["X-GET", [400]],
  ["PRI", [400, 0]],
  ["", [400]],
];

/** One method is authorised, and it is the one that arrives. */
export const METHOD_CASES: readonly Case[] = [
  ...OVERRIDES.flatMap((name) =>
    [...SEPARATORS].map(
      (separator): Case => ({
        name: `${name.replaceAll("-", separator)} changes no method`,
        send: get("/orders/{tag}", `${name.replaceAll("-", separator)}: DELETE`),
        answers: [200],
        upstream: [{ method: "GET", target: "/orders/{tag}", absent: OVERRIDES }],
      }),
    ),
  ),
  ...OVERRIDES.map(
    (name): Case => ({
      name: `${name} as a trailer changes no method`,
      send: post("/orders/{tag}", [CHUNKED], `${chunk("x")}0\r\n${name}: DELETE\r\n\r\n`),
      answers: [200],
      upstream: [{ method: "POST", target: "/orders/{tag}", body: "x", absent: OVERRIDES }],
    }),
  ),
  ...PARAMETERS.map(
    ([title, query, left]): Case => ({
      name: `a parameter changes no method: ${title}`,
      send: get(`/orders/{tag}?${query}`),
      answers: [200],
      upstream: [{ method: "GET", target: `/orders/{tag}${left}` }],
    }),
  ),
  ...["method=paypal", "payment_method=card", "methods=a", "x=_method", "a_method=1", "shipping.method=a"].map(
    (query): Case => ({
      name: `the parameter ${query} is the app's own`,
      send: get(`/orders/{tag}?${query}`),
      answers: [200],
      upstream: [{ method: "GET", target: `/orders/{tag}?${query}` }],
    }),
  ),
  ...REFUSED_METHODS.map(
    ([method, statuses]): Case => ({
      name: `the method ${JSON.stringify(method)} is refused`,
      send: message(`${method} /any/{tag} HTTP/1.1`, [KEY]),
      answers: [statuses],
      upstream: "never",
    }),
  ),
  {
    name: "CONNECT to an authority is refused, and what follows it is not read",
    send: `${message("CONNECT api.test:443 HTTP/1.1", [KEY])}${get("/any/{tag}")}`,
    answers: [400],
    upstream: "never",
  },
  {
    name: "TRACE echoes nothing",
    send: message("TRACE /any/{tag} HTTP/1.1", [KEY, "X-Echo: echo-{tag}"]),
    answers: [400],
    upstream: "never",
    client: { lacks: ["echo-{tag}"] },
  },
  {
    name: "a read-only key writes nothing through an override",
    send: message("GET /orders/{tag}?_method=DELETE HTTP/1.1", [
      "X-API-Key: {reader}",
      "X-HTTP-Method-Override: DELETE",
    ]),
    answers: [200],
    upstream: [
      {
        method: "GET",
        target: "/orders/{tag}",
        absent: OVERRIDES,
        present: { "x-latchkey-key-id": ["reader"], "x-latchkey-tenant": [] },
      },
    ],
  },
  ...["POST", "PUT", "PATCH", "DELETE"].map(
    (method): Case => ({
      name: `a read-only key is refused a ${method}`,
      send: message(`${method} /orders/{tag} HTTP/1.1`, ["X-API-Key: {reader}", "Content-Length: 0"]),
      answers: [403],
      upstream: "never",
    }),
  ),
  ...["POST", "DELETE", "OPTIONS", "PUT"].map(
    (method): Case => ({
      name: `a public GET is no public ${method}`,
      send: message(`${method} /public/{tag} HTTP/1.1`, ["Content-Length: 0"]),
      answers: [401],
      upstream: "never",
    }),
  ),
  {
    name: "HEAD goes where GET may, and arrives as HEAD",
    send: message("HEAD /orders/{tag} HTTP/1.1", [KEY]),
    answers: [200],
    upstream: [{ method: "HEAD", target: "/orders/{tag}" }],
  },
];
