import { configDefaults, defineConfig } from "vitest/config";

// `npm test` runs what needs nothing but this checkout. Tests named *.peers.test.ts need programs a developer's machine
// may lack (PHP, Python, nginx, HAProxy, Caddy, wrk, vi) or root for mounts; those of test/manifests need kubectl, helm
// and the models of Kubernetes; those of test/image need root, buildah and podman. `npm run test:peers`,
// `test:manifests` and `test:image` run these. CI runs all four. `leaking` is a file that must fail.
const PEERS = "test/**/*.peers.test.ts";
const MANIFESTS = "test/manifests/**/*.test.ts";
const IMAGE = "test/image/**/*.test.ts";
const CHOSEN: ReadonlyMap<string | undefined, string> = new Map([
  ["peers", PEERS],
  ["manifests", MANIFESTS],
  ["image", IMAGE],
  ["leaking", "test/secrecy/leaking.ts"],
]);
const chosen = CHOSEN.get(process.env["LATCHKEY_TEST"]);

export default defineConfig({
  test: {
    include: [chosen ?? "test/**/*.test.ts"],
    exclude: [...configDefaults.exclude, ...(chosen === undefined ? [PEERS, MANIFESTS, IMAGE] : [])],
    globalSetup: chosen === IMAGE ? ["test/image/setup.ts"] : [],
    // End-to-end tests start the built program; two cores carry no more than two of them at a time. Starts of containers
    // are timed: one at a time.
    maxWorkers: chosen === IMAGE ? 1 : 2,
    // Records what programs and sockets say in every test, and fails the file in which a secret got out.
    setupFiles: ["test/secrecy/every-test.ts"],
    testTimeout: chosen === IMAGE ? 60_000 : 20_000,
    hookTimeout: chosen === IMAGE ? 60_000 : 10_000,
    // Several tests hold the program to times that a shared CI machine may miss once; a defect misses them every time.
    retry: process.env["CI"] === undefined ? 0 : 2,
    coverage: { provider: "v8", include: ["src/policy/**", "src/config/**"], reporter: ["text-summary", "text"] },
  },
});
