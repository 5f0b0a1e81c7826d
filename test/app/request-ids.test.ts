import { expect, test } from "vitest";
import { createRequestIds } from "../../src/app/request-ids.ts";

test("createRequestIds() makes no id twice, over many fillings of what it cuts them out of", () => {
  const [create, createElsewhere] = [createRequestIds(), createRequestIds()];
  const ids = Array.from({ length: 2_000 }, (_, index) => (index % 2 === 0 ? create() : createElsewhere()));
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{32}$/);
});
