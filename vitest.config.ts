import { configDefaults, defineConfig } from "vitest/config";

// Tests named *.peers.test.ts need programs a developer's machine may lack (PHP, Python, vi) or root for mounts;
// `npm run test:peers` runs those, `npm test` the others. CI runs both.
const peers = process.env["LATCHKEY_TEST"] === "peers";

export default defineConfig({
  test: {
    include: [peers ? "test/**/*.peers.test.ts" : "test/**/*.test.ts"],
    exclude: peers ? configDefaults.exclude : [...configDefaults.exclude, "test/**/*.peers.test.ts"],
    // End-to-end tests start the built program; two cores carry no more than two of them at a time.
    maxWorkers: 2,
    testTimeout: 20_000,
    // Several tests hold the program to times that a shared CI machine may miss once; a defect misses them every time.
    retry: process.env["CI"] === undefined ? 0 : 2,
    coverage: { provider: "v8", include: ["src/policy/**", "src/config/**"], reporter: ["text-summary", "text"] },
  },
});
