import type { RequestFacts } from "../../src/policy/facts.ts";
import { type PolicyLiteral, type RequestLiteral, toFacts } from "../../test/policy/fixture.ts";
import { createCredentials } from "../contenders/latchkey.ts";

export const NOW = 1_750_000_000_000;
export const KEYS = 1000;
export const TARGET = "/api/v1/orders/4711?page=2&expand=lines";
export const CREDENTIALS = createCredentials(KEYS);

const RESOURCES = ["orders", "clients", "invoices", "items", "reports", "users", "tills", "shifts", "stock"];

/** 1,000 SHA-256 keys with two limits and one or two networks each, 20 routes. */
export function toPolicyLiteral(
  scopes: readonly string[],
  more: NonNullable<PolicyLiteral["routes"]> = [],
): PolicyLiteral {
  return {
    formats: ["bk_{environment:live|test}_{secret:hex(32)}"],
    accept: { environment: ["live"] },
    failures: "30/minute",
    routes: [
      { match: "GET /health", public: true },
      ...more,
      ...RESOURCES.flatMap((resource) => [
        { match: `GET /api/v1/${resource}/**`, scopes: [`${resource}:read`] },
        { match: `POST,PUT,PATCH,DELETE /api/v1/${resource}/**`, scopes: [`${resource}:write`] },
      ]),
      { match: "* /api/v2/{resource}/**", scopes: ["{resource}.{action}"] },
    ],
    // Limits that this many requests at one instant never spend: it is the passing that is timed.
    keys: CREDENTIALS.map((credential, index) => ({
      id: `key-${index}`,
      credential,
      scopes,
      limits: ["1000000000/minute", "1000000000/hour"],
      allowIps: index % 2 === 0 ? ["203.0.113.0/24"] : ["198.51.100.0/24", "203.0.113.0/24"],
    })),
  };
}

/** With `Host` and `Authorization` twelve, as many as a browser or a load balancer makes of a request. */
const HEADER_LINES: readonly (readonly [string, string])[] = [
  ["User-Agent", "pos-client/4.1 (linux; x64) node/26"],
  ["Accept", "application/json"],
  ["Accept-Encoding", "gzip, deflate, br"],
  ["Accept-Language", "en-GB,en;q=0.9"],
  ["Connection", "keep-alive"],
  ["X-Request-Id", "0f6b9c3e-5d2a-4b3c-9f7e-1a2b3c4d5e6f"],
  ["X-Forwarded-For", "203.0.113.7"],
  ["X-Forwarded-Proto", "https"],
  ["traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
  ["Cache-Control", "no-cache"],
];

/** One request by each key in turn. */
export function requestsOf(
  request: RequestLiteral,
  presented: readonly string[] = CREDENTIALS,
): readonly RequestFacts[] {
  return presented.map((credential) => toFacts({ credential, headers: HEADER_LINES, ...request }));
}
