import { cp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import { overUndici } from "./over-undici.ts";
import { requireHttp } from "./quick-start.ts";

// One bundle with every dependency in it: the image needs nothing but Node and dist/, and start-up
// reads a few files instead of a few hundred. Commands are split off so that `healthcheck` stays quick.
// It is made beside dist/ and takes its place when it is whole: whoever runs the old one meanwhile keeps it.
const made = `dist-${process.pid}`;
const { metafile } = await build({
  entryPoints: ["src/main.ts", "src/app/bcrypt-worker.ts", "src/app/load-worker.ts", "src/app/plane-worker.ts"],
  outdir: made,
  entryNames: "[name]",
  chunkNames: "[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node24",
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: "none",
  metafile: true,
  plugins: process.env["LATCHKEY_FORWARDER"] === "undici" ? [requireHttp, overUndici] : [requireHttp],
  // The bundled CommonJS dependencies call require for Node's own modules.
  banner: {
    js: 'import { createRequire as latchkeyRequire } from "node:module"; const require = latchkeyRequire(import.meta.url);',
  },
});
await writeFile(`${made}/THIRD-PARTY-LICENSES.txt`, await collectLicences(Object.keys(metafile.inputs)));
// `latchkey init --like` begins with these.
await cp("config/systems", `${made}/systems`, { recursive: true, filter: (source) => !source.endsWith(".md") });

await rm("dist", { recursive: true, force: true });
await rename(made, "dist");

/** The licence texts of every package that went into the bundle, as those licences ask. */
async function collectLicences(inputs: readonly string[]): Promise<string> {
  const folders = new Set(inputs.flatMap((input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? []));
  const texts: string[] = [];
  for (const folder of [...folders].sort()) {
    const { name, version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
    const text =
      file === undefined ? `Licensed under ${license}.` : (await readFile(join(folder, file), "utf8")).trim();
    texts.push(`${name} ${version} (${license})\n\n${text}\n`);
  }
  return texts.join(`\n${"-".repeat(80)}\n\n`);
}
