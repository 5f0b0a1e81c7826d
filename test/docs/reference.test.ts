import { execFile } from "node:child_process";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { toCommandReference } from "../../scripts/command-reference.ts";
import { readFields, toFieldReference } from "../../scripts/field-reference.ts";
import { createDirectory, run } from "../cli/run.ts";
import { ROOT } from "./blocks.ts";

const read = (path: string): Promise<string> => readFile(resolve(ROOT, path), "utf8");

/** The examples where the program may load them: with the files they name, which nobody checks in. */
async function copyExamples(): Promise<string> {
  const directory = await createDirectory();
  await cp(resolve(ROOT, "docs/reference"), directory, { recursive: true });
  await Promise.all([mkdir(join(directory, "keys")), mkdir(join(directory, "tls"))]);
  await writeFile(join(directory, "keys/pepper"), "a pepper that is long enough", { mode: 0o600 });
  const openssl = (...args: readonly string[]) => promisify(execFile)("openssl", args, { cwd: directory });
  await openssl("genpkey", "-algorithm", "ed25519", "-out", "keys/sign.pem");
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=orders"];
  await openssl("req", "-x509", ...curve, "-keyout", "tls/tls.key", "-out", "tls/tls.crt");
  await cp(join(directory, "tls/tls.crt"), join(directory, "tls/internal-ca.pem"));
  const complete = await readFile(join(directory, "complete.yaml"), "utf8");
  await writeFile(join(directory, "candidate.yaml"), complete.replace("shadow: candidate.yaml", ""));
  return directory;
}

describe("docs/reference.md", () => {
  test("is what the definition says; `npm run docs` writes it", async () => {
    expect(await read("docs/reference.md")).toBe(toFieldReference());
  });

  test.each(["main", "keys"] as const)("describes every field, and has an example of it (%s)", (file) => {
    const fields = readFields(file);
    expect(fields.length).toBeGreaterThan(10);
    expect(fields.filter(({ description }) => description === "").map(({ path }) => path)).toEqual([]);
    expect(fields.filter(({ example }) => example === undefined).map(({ path }) => path)).toEqual([]);
  });

  test.each(["complete.yaml", "variant.yaml"])("takes its examples from files that load: %s", async (file) => {
    const directory = await copyExamples();
    const env = { ORDERS_PEPPER: "a pepper that is long enough" };
    const { code, out, err } = await run(["check", "--config", join(directory, file)], { env });
    expect(err).toBe("");
    expect(out).toContain(`${file} is valid`);
    expect(code).toBe(0);
  });
});

describe("docs/cli-reference.md", () => {
  test("is what --help prints; `npm run docs` writes it", async () => {
    expect(await read("docs/cli-reference.md")).toBe(toCommandReference());
  });

  test("has every command, as its heading", async () => {
    const page = await read("docs/cli-reference.md");
    const headings = [...page.matchAll(/^## latchkey ?(.*)$/gm)].map(([, name]) => name);
    expect(headings).toEqual(expect.arrayContaining(["", "serve", "keys create", "shadow report", "healthcheck"]));
    for (const name of headings) expect(page).toContain(`Usage: latchkey${name === "" ? "" : ` ${name}`} `);
  });
});
