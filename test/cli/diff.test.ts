import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createDirectory, run } from "./run.ts";

interface Written {
  readonly upstream?: string;
  readonly keys?: readonly string[];
  readonly scope?: string;
  readonly more?: string;
}

const digest = (id: string) => `sha256:${Buffer.from(id).toString("hex").padStart(64, "0")}`;

function write({
  upstream = "http://127.0.0.1:3000",
  keys = ["a"],
  scope = "orders:read",
  more = "",
}: Written): string {
  const records = keys.map((id) => `  - { id: ${id}, hash: "${digest(id)}", scopes: ["${scope}"] }\n`).join("");
  return `upstream: ${upstream}\nroutes: [{ match: "GET /orders", scopes: "orders:read" }]\n${more}keys:\n${records}`;
}

async function compare(old: string, next: string, flags: readonly string[] = []) {
  const directory = await createDirectory({ "old.yaml": old, "new.yaml": next });
  return run(["diff", join(directory, "old.yaml"), join(directory, "new.yaml"), ...flags]);
}

describe("latchkey diff", () => {
  test("ends with 0 when two files mean the same, however they are written", async () => {
    const { code, out } = await compare(write({ keys: ["a", "b"] }), `# reordered\n${write({ keys: ["b", "a"] })}`);
    expect(code).toBe(0);
    expect(out).toContain("mean the same");
  });

  test("ends with 1 and tells the changes, and who gains and loses what", async () => {
    const { code, out } = await compare(
      write({ keys: ["a", "b"] }),
      write({ keys: ["a", "c"], scope: "orders:write", upstream: "http://127.0.0.1:3001" }),
    );
    expect(code).toBe(1);
    const lines = out.split("\n").slice(1);
    expect(lines).toEqual([
      "",
      "Changes",
      "  1 key removed: `b`",
      "  1 key added: `c`",
      "  `a` lost `orders:read`",
      "  `a` gained `orders:write`",
      "  upstream.url changed from http://127.0.0.1:3000 to http://127.0.0.1:3001",
      "",
      "Access",
      "  - `a`, `b` lose everything: GET /orders",
      "",
    ]);
  });

  test("prints the same for programs", async () => {
    const { code, out } = await compare(write({}), write({ scope: "orders:write" }), ["--json"]);
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      same: false,
      described: ["`a` lost `orders:read`", "`a` gained `orders:write`"],
      changes: { keysAdded: [], keysChanged: [{ id: "a" }] },
      settings: [],
      access: [{ key: "a", gained: [], lost: ["GET /orders"], lostAll: true }],
      refusals: [],
    });
  });

  test("tells that a running Latchkey would refuse the reload, and the line that says it is meant", async () => {
    const old = write({ keys: ["a", "b", "c", "d", "e", "f"] });
    const { out } = await compare(old, write({}));
    expect(out).toContain("A running Latchkey would refuse this reload.");
    const line = /reload: \{ confirm: removal-[0-9a-f]{12} \}/.exec(out)?.[0] ?? "";
    expect((await compare(old, write({ more: `${line}\n` }))).out).not.toContain("refuse");
  });

  test("takes a directory for the main file in it", async () => {
    const old = await createDirectory({ "latchkey.yaml": write({}) });
    const next = await createDirectory({ "latchkey.yml": write({}) });
    expect((await run(["diff", old, next])).code).toBe(0);
  });

  test("ends with 2 when one of them cannot be used, and says why", async () => {
    const { code, out, err } = await compare(write({}), "routes: 1\n");
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain("new.yaml:1:9: error: routes: ");
    expect((await run(["diff", "/nowhere", "/nowhere/either"])).code).toBe(2);
    expect((await run(["diff", "one"])).code).toBe(2);
  });
});
