import { expect, test } from "vitest";
import { restartNeeded } from "../../src/config/restart.ts";
import type { ListenSettings, Settings } from "../../src/config/settings.ts";

const LISTEN: ListenSettings = {
  address: { kind: "tcp", host: "0.0.0.0", port: 8080 },
  tls: undefined,
  trustedProxies: { address: undefined, scheme: undefined, host: undefined },
  headersTimeoutMs: 10_000,
  bodyIdleTimeoutMs: 60_000,
  requestTimeoutMs: 0,
  idleTimeoutMs: 60_000,
  maxConnections: 1000,
  maxHeaderBytes: 16_384,
  maxHeaders: 100,
  maxBodyBytes: undefined,
};

type Fixed = Pick<Settings, "listen" | "admin" | "workers">;

const OLD: Fixed = {
  workers: 1,
  listen: LISTEN,
  admin: {
    address: { kind: "tcp", host: "127.0.0.1", port: 9090 },
    tokenSha256: undefined,
    probes: new Map(),
    authorizer: undefined,
  },
};

const cases: readonly (readonly [name: string, next: Fixed, needed: readonly string[]])[] = [
  ["nothing for the same settings in other objects", structuredClone(OLD), []],
  ["nothing for timeouts and limits", { ...OLD, listen: { ...LISTEN, idleTimeoutMs: 1, maxHeaders: 5 } }, []],
  ["the address", { ...OLD, listen: { ...LISTEN, address: { kind: "unix", path: "/run/a" } } }, ["listen.address"]],
  ["TLS that is new", { ...OLD, listen: { ...LISTEN, tls: { cert: "/c", key: "/k" } } }, ["listen.tls"]],
  ["the bytes of headers", { ...OLD, listen: { ...LISTEN, maxHeaderBytes: 1 } }, ["listen.maxHeaderBytes"]],
  ["the number of threads", { ...OLD, workers: 2 }, ["workers"]],
  ["an admin port switched off", { ...OLD, admin: undefined }, ["admin.address"]],
];

test.each(cases)("restartNeeded() names %s", (_, next, needed) => {
  expect(restartNeeded(OLD, next)).toEqual(needed);
});

test("restartNeeded() names nothing for another certificate file", () => {
  const withTls = (cert: string): Fixed => ({ ...OLD, listen: { ...LISTEN, tls: { cert, key: "/k" } } });
  expect(restartNeeded(withTls("/a"), withTls("/b"))).toEqual([]);
});
