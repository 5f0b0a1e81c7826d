import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // End-to-end tests start the built program; two cores carry no more than two of them at a time.
    maxWorkers: 2,
    testTimeout: 20_000,
    coverage: { provider: "v8", include: ["src/policy/**", "src/config/**"], reporter: ["text-summary", "text"] },
  },
});
