import { test } from "vitest";

/** Tests of what only our forwarder does, and why undici's does not. Every other one passes over both. */
const ONLY_OURS: ReadonlyMap<string, string> = new Map([
  ...["CHUNKED", "Chunked", " chunked ", "\\tchunked"].map(
    (coding) =>
      [
        `the coding "${coding}" is the ordinary one`,
        "undici frames a body without chunks by a length of nothing",
      ] as const,
  ),
  [
    "an answer with a control byte in its reason is answered for, and the request is not sent again",
    "undici passes the reason on without its part with the control byte",
  ],
  ["an answer with a 100 nobody asked for is put right", "undici breaks such an exchange off"],
  ...["interim answers", "hints"].map(
    (what) => [`${what} without end are no answer in time`, "undici takes an interim answer for progress"] as const,
  ),
  ["the bundle holds little of undici and zod but what is used of them", "undici is in the bundle"],
]);

/** Where the program was built with undici's forwarder, what only ours does must fail: an entry that is past shows. */
export function testOver(name: string): typeof test | typeof test.fails {
  return process.env["LATCHKEY_FORWARDER"] === "undici" && ONLY_OURS.has(name) ? test.fails : test;
}
