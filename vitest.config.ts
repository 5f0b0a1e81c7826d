import { configDefaults, defineConfig } from "vitest/config";

// `npm test` runs what needs nothing but this checkout. Tests named *.peers.test.ts need programs a developer's machine
// may lack (PHP, Python, nginx, Caddy, wrk, vi) or root for mounts; those of test/manifests need kubectl, helm and the models of Kubernetes.
// `npm run test:peers` and `npm run test:manifests` run these. CI runs all three. `leaking` is a file that must fail.
const PEERS = "test/**/*.peers.test.ts";
const MANIFESTS = "test/manifests/**/*.test.ts";
const CHOSEN: ReadonlyMap<string | undefined, string> = new Map([
  ["peers", PEERS],
  ["manifests", MANIFESTS],
  ["leaking", "test/secrecy/leaking.ts"],
]);
const chosen = CHOSEN.get(process.env["LATCHKEY_TEST"]);

export default defineConfig({
  test: {
    include: [chosen ?? "test/**/*.test.ts"],
    exclude: [...configDefaults.exclude, ...(chosen === undefined ? [PEERS, MANIFESTS] : [])],
    // End-to-end tests start the built program; two cores carry no more than two of them at a time.
    maxWorkers: 2,
    // Records what programs and sockets say in every test, and fails the file in which a secret got out.
    setupFiles: ["test/secrecy/every-test.ts"],
    testTimeout: 20_000,
    // Several tests hold the program to times that a shared CI machine may miss once; a defect misses them every time.
    retry: process.env["CI"] === undefined ? 0 : 2,
    coverage: { provider: "v8", include: ["src/policy/**", "src/config/**"], reporter: ["text-summary", "text"] },
  },
});
