import { readFile, stat, writeFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { createDirectory, run, type Surroundings } from "./run.ts";

async function init(flags: readonly string[], surroundings: Surroundings = {}) {
  const directory = await createDirectory();
  const ran = await run(["init", "--out", directory, ...flags], surroundings);
  const read = (name: string) => readFile(`${directory}/${name}`, "utf8");
  const config = `${directory}/latchkey.yaml`;
  return { ...ran, directory, read, config, check: () => run(["check", "--strict", "--config", config]) };
}

describe("latchkey init", () => {
  test.each([
    [[]],
    [["--minimal"]],
    [["--upstream", "unix:/run/app.sock"]],
    [["--upstream", "https://app.internal:8443", "--routes", "/api/v1/orders", "/api/v1/invoices/"]],
    [["--routes", "/"]],
    [["--routes", "GET /health authenticated", "GET,POST /a/{id} a:read,a:list", "* /** authenticated"]],
  ])("%j writes a config that passes check without a warning", async (flags) => {
    const { code, check } = await init(flags);
    expect(code).toBe(0);
    const checked = await check();
    expect(checked.out).toContain("is valid");
    expect(checked.code).toBe(0);
  });

  test("the smallest useful config is four lines", async () => {
    const { read } = await init(["--minimal", "--upstream", "http://127.0.0.1:4000"]);
    expect((await read("latchkey.yaml")).trimEnd().split("\n")).toEqual([
      'upstream: "http://127.0.0.1:4000"',
      "keys: keys.yaml",
      "routes:",
      '  - { match: "* /**", authenticated: true }',
    ]);
  });

  test("a path becomes routes to read and to write, whose scopes are catalogued", async () => {
    const { read } = await init(["--routes", "/api/v1/orders"]);
    const text = await read("latchkey.yaml");
    expect(text).toContain('- { match: "GET /api/v1/orders/**", scopes: ["orders:read"] }');
    expect(text).toContain('- { match: "* /api/v1/orders/**", scopes: ["orders:write"] }');
    expect(text).toContain('"orders:write": { implies: ["orders:read"] }');
  });

  test("asks where somebody is there to answer, and takes defaults for empty answers", async () => {
    const told = await init([], { answers: ["http://127.0.0.1:5000", "/orders, /invoices"] });
    expect(await told.read("latchkey.yaml")).toContain('upstream: "http://127.0.0.1:5000"');
    expect(await told.read("latchkey.yaml")).toContain("GET /invoices/**");
    const silent = await init([], { answers: ["", ""] });
    expect(await silent.read("latchkey.yaml")).toContain('upstream: "http://127.0.0.1:3000"');
  });

  test("the next steps it names work as they stand", async () => {
    const { out, directory } = await init(["--routes", "/orders"]);
    const create = /latchkey (keys create .*)/.exec(out)?.[1]?.split(" ");
    expect(create).toEqual(expect.arrayContaining(["--scopes", "orders:read"]));
    const created = await run(create ?? []);
    expect(created.code).toBe(0);
    const explain = ["explain", "GET", "/orders/1", "--key", created.out.trim()];
    expect((await run([...explain, "--config", `${directory}/latchkey.yaml`])).code).toBe(0);
  });

  test("only its owner may read the keys file", async () => {
    const { directory } = await init([]);
    expect((await stat(`${directory}/keys.yaml`)).mode & 0o777).toBe(0o600);
  });

  test("overwrites a config only when forced, and a keys file never", async () => {
    const { directory, read } = await init(["--minimal"]);
    await writeFile(`${directory}/keys.yaml`, "keys: [] # mine\n");
    const again = await run(["init", "--out", directory]);
    expect(again.code).toBe(1);
    expect(again.err).toContain("--force overwrites it");
    expect((await read("latchkey.yaml")).split("\n")).toHaveLength(5);
    const forced = await run(["init", "--out", directory, "--force"]);
    expect(forced.code).toBe(0);
    expect(forced.out).toContain("was there and stays as it is");
    expect(await read("keys.yaml")).toBe("keys: [] # mine\n");
  });

  test.each([
    [["--upstream", "ftp://x"], "http://host:port"],
    [["--routes", "GET"], "Expected a path such as"],
    [["--routes", "GET orders public"], "expected a path that starts with /"],
    [["--routes", "PSOT /orders public"], "Did you mean POST?"],
    [["--routes", 'GET /orders or"ders'], "cannot be a scope"],
  ])("%j is a wrong call", async (flags, said) => {
    const { code, err } = await init(flags);
    expect(code).toBe(2);
    expect(err).toContain(said);
  });
});
