import { describe, expect, test } from "vitest";
import { parseConfiguration } from "../../src/config/load.ts";
import { compareWith, toBasis } from "../../src/config/reload-comparison.ts";
import { judgeRemoval } from "../../src/config/reload-guard.ts";
import type { Configuration } from "../../src/config/settings.ts";
import { snapshotOf } from "./snapshot-of.ts";

interface Written {
  readonly keys: number;
  readonly routes?: number;
  readonly reload?: string;
  /** The cluster that the keys were made for: each has hashes of its own. */
  readonly cluster?: number;
  readonly status?: "active" | "revoked";
  /** More fields of the main file. */
  readonly more?: string;
}

/** A configuration with so many keys and routes, the first ones of an endless list. */
function configure(written: Written): Configuration {
  const { keys, routes = 1, reload = "{}", cluster = 0, status = "active", more = "" } = written;
  const records = Array.from({ length: keys }, (_, index) => ({
    id: `key-${index}`,
    hash: `sha256:${(cluster * 1000 + index).toString(16).padStart(64, "0")}`,
    status,
  }));
  const patterns = Array.from({ length: routes }, (_, index) => ({ match: `GET /r${index}`, authenticated: true }));
  const main = `upstream: http://127.0.0.1:3000\nreload: ${reload}\nroutes: ${JSON.stringify(patterns)}\nkeys: keys.json\n${more}\n`;
  const loaded = parseConfiguration(snapshotOf(main, { "keys.json": JSON.stringify({ keys: records }) }));
  if (loaded.kind === "rejected") throw new Error(JSON.stringify(loaded.diagnostics));
  return loaded.configuration;
}

const findRemoval = (from: Written, to: Written) => compareWith(toBasis(configure(from)), configure(to)).removal;
const judge = (from: Written, to: Written) => judgeRemoval(findRemoval(from, to), configure(to), "latchkey.yaml");

describe("judgeRemoval()", () => {
  test("lets a reload pass that removes no more than the share", async () => {
    expect(await judge({ keys: 10 }, { keys: 5 })).toEqual([]);
    expect(await judge({ keys: 10 }, { keys: 20 })).toEqual([]);
    expect(await judge({ keys: 10, routes: 6 }, { keys: 10, routes: 3 })).toEqual([]);
  });

  test("refuses a reload that removes more of the keys, and says what to write if it is meant", async () => {
    const removal = findRemoval({ keys: 10 }, { keys: 4 });
    expect(await judge({ keys: 10 }, { keys: 4 })).toEqual([
      {
        severity: "error",
        file: "latchkey.yaml",
        line: 0,
        column: 0,
        path: "reload.maxRemoved",
        message:
          "The reload removes 6 of 10 keys, more than the 50% that reload.maxRemoved allows: " +
          '"key-4", "key-5", "key-6" and 3 more',
        fix: `If that is meant, write reload: { confirm: ${removal.name} } in latchkey.yaml; it allows this removal and no other`,
      },
    ]);
  });

  test("refuses a reload that removes more of the routes, and names keys and routes when both go", async () => {
    const lost = await judge({ keys: 10, routes: 8 }, { keys: 0, routes: 1 });
    expect(lost.map(({ message }) => message.split(",", 1)[0])).toEqual([
      "The reload removes 10 of 10 keys",
      "The reload removes 7 of 8 routes",
    ]);
  });

  test("counts a key that stays by its id with another hash: a Secret rendered for another cluster", async () => {
    const refused = await judge({ keys: 10 }, { keys: 8, cluster: 1 });
    expect(refused.map(({ message }) => message)).toEqual([
      "The reload removes 10 of 10 keys, 8 of them by another hash, more than the 50% that reload.maxRemoved allows: " +
        '"key-8", "key-9", "key-0" and 7 more',
    ]);
  });

  test("takes the confirmation of these new hashes, and of no others", async () => {
    const { name } = findRemoval({ keys: 10 }, { keys: 10, cluster: 1 });
    const reload = `{ confirm: ${name} }`;
    expect(await judge({ keys: 10 }, { keys: 10, cluster: 1, reload })).toEqual([]);
    expect(await judge({ keys: 10 }, { keys: 10, cluster: 2, reload })).toHaveLength(1);
  });

  test("does not count the hash of a key that is revoked", async () => {
    expect(await judge({ keys: 10 }, { keys: 10, cluster: 1, status: "revoked" })).toEqual([]);
  });

  test("leaves the routes of management out, which nobody wrote", async () => {
    const more = "management: { path: /keys, scopes: manage }";
    expect(await judge({ keys: 1, routes: 1, more }, { keys: 1, routes: 1 })).toEqual([]);
    expect(await judge({ keys: 1, routes: 5, more }, { keys: 1, routes: 2, more })).toHaveLength(1);
  });

  test("does not count a share of a handful", async () => {
    expect(await judge({ keys: 4, routes: 4 }, { keys: 0, routes: 0 })).toEqual([]);
    expect(await judge({ keys: 5 }, { keys: 0 })).toHaveLength(1);
  });

  test("goes by the share of the new file, of which 0% allows nothing and 100% anything", async () => {
    expect(await judge({ keys: 10 }, { keys: 9, reload: "{ maxRemoved: 0% }" })).toHaveLength(1);
    expect(await judge({ keys: 10, reload: "{ maxRemoved: 0% }" }, { keys: 5 })).toEqual([]);
    expect(await judge({ keys: 10, routes: 8 }, { keys: 0, routes: 0, reload: "{ maxRemoved: 100% }" })).toEqual([]);
  });

  test("takes the confirmation of this very removal, and of no other", async () => {
    const { name } = findRemoval({ keys: 10 }, { keys: 2 });
    const reload = `{ confirm: ${name} }`;
    expect(await judge({ keys: 10 }, { keys: 2, reload })).toEqual([]);
    expect(await judge({ keys: 10 }, { keys: 1, reload })).toHaveLength(1);
    expect(await judge({ keys: 11 }, { keys: 2, reload })).toHaveLength(1);
  });
});

describe("the fields of reload", () => {
  test.each([
    ["{ maxRemoved: half }", "Expected a share of 0% to 100%, such as 50%"],
    ["{ maxRemoved: 101% }", "Expected a share of 0% to 100%, such as 50%"],
    ["{ confirm: yes-please }", "Expected the name of a removal"],
  ])("%s is refused", (reload, message) => {
    expect(() => configure({ keys: 0, reload })).toThrow(message);
  });
});
