import type { Exception } from "./leaks.ts";

/** Every test that shows a secret on purpose. */
export const EXCEPTIONS: readonly Exception[] = [
  {
    file: "test/cli/quick-start.peers.test.ts",
    place: "stdout",
    after: /curl -i -h 'authorization: bearer $/,
    reason: "The demo prints its keys, as lines to paste; here npm starts it.",
  },
  {
    file: "test/e2e/forwarding.test.ts",
    place: "upstream",
    after: /get \/search\/$/,
    reason:
      "A key in a path segment is no credential: the path goes on as it was authorised, and only the log cuts it.",
  },
  {
    file: "test/manifests/as-run.test.ts",
    place: "stdout",
    after: /name: authorization(\n +|, )value: "?bearer $/,
    reason:
      "The token of a preStop hook stands in the pod's spec, and kubectl and helm print that; it can do nothing else.",
  },
  {
    file: "test/security/fail-closed-authoriser.test.ts",
    place: "upstream",
    after: /\nx-api-key: $/,
    reason: "The server there is the admin port, which gateways hand the credentials of their clients to.",
  },
  {
    file: "test/security/naive/naive.test.ts",
    place: "upstream",
    after: /(?:)/,
    reason: "The proxy there is one that a careful afternoon makes; that keys get past it is what the bench must find.",
  },
];
