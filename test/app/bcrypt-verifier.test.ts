import { expect, test } from "vitest";
import { createBcryptVerifier } from "../../src/app/bcrypt-verifier.ts";

const FRAGILE = new URL("./fragile-bcrypt-worker.ts", import.meta.url);
const COST = 4;

test("a bcrypt thread that dies takes nothing from the one that was started in its place", async () => {
  const verifier = createBcryptVerifier(FRAGILE);
  const first = await verifier.hash("a", COST);
  await expect(verifier.hash("fatal", COST)).rejects.toThrow("the thread died on purpose");
  // While the first one is still on its way out.
  const second = await verifier.hash("b", COST);
  expect(second).not.toBe(first);
  expect(await verifier.hash("c", COST)).toBe(second);
  await verifier.close();
});
