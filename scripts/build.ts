import { rm } from "node:fs/promises";
import { build } from "esbuild";

// One bundle with every dependency in it: the image needs nothing but Node and dist/, and start-up
// reads a few files instead of a few hundred. Commands are split off so that `healthcheck` stays quick.
await rm("dist", { recursive: true, force: true });
await build({
  entryPoints: ["src/main.ts", "src/app/bcrypt-worker.ts"],
  outdir: "dist",
  entryNames: "[name]",
  chunkNames: "[name]-[hash]",
  bundle: true,
  splitting: true,
  format: "esm",
  platform: "node",
  target: "node24",
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: "linked",
  // The bundled CommonJS dependencies call require for Node's own modules.
  banner: { js: 'import { createRequire as latchkeyRequire } from "node:module"; const require = latchkeyRequire(import.meta.url);' },
});
