import { expect, test } from "vitest";
import { type Page, readPages } from "../docs/blocks.ts";
import { findFault } from "../docs/faults.ts";
import { runPage } from "../docs/session.ts";

const NAME = "test/manifests/releasing.test.ts";
const PATIENCE_MS = 60_000;

test("the golden manifests are of the version that docs/releasing.md sets", { timeout: PATIENCE_MS }, async () => {
  const page = await readUpToOwn("docs/releasing.md");
  const ran = await runPage(page, { name: NAME, enter: [], programs: {}, env: {}, deadlineMs: PATIENCE_MS });
  expect(ran.flatMap(findFault)).toEqual([]);
  expect(ran.find(({ text }) => text.startsWith("npm run"))?.output).toMatch(/Snapshots .*\d+ updated/);
});

/** The page from its top to the block that names this test. */
async function readUpToOwn(path: string): Promise<Page> {
  const blocks = (await readPages()).find((page) => page.path === path)?.blocks ?? [];
  const own = blocks.findIndex(({ treatment }) => treatment.kind === "run by" && treatment.runner === NAME);
  return { path, blocks: blocks.slice(0, own + 1) };
}
