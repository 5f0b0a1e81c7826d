import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import * as z from "zod";

// From the bill of all installed packages on standard input (`npm sbom`) the bill of the program on standard output: a
// bundle holds parts of some of them, and npm cannot know of which. The list of licences does, since the bundler wrote it.
const BUNDLED = /^(\S+) (\d+\.\d+\.\d+\S*) \(.+\)$/gm;
// npm marks what is needed for development only, which is no longer true of what went into the program.
const OF_DEVELOPMENT = "cdx:npm:package:development";

const componentSchema = z.looseObject({
  "bom-ref": z.string(),
  name: z.string(),
  version: z.string(),
  properties: z.array(z.object({ name: z.string(), value: z.string() })).default([]),
});
const billSchema = z.looseObject({
  metadata: z.looseObject({ component: z.looseObject({ "bom-ref": z.string(), name: z.string() }) }),
  components: z.array(componentSchema),
  dependencies: z.array(z.object({ ref: z.string(), dependsOn: z.array(z.string()).default([]) })),
});

const licences = readFileSync("dist/THIRD-PARTY-LICENSES.txt", "utf8");
const bundled = new Set([...licences.matchAll(BUNDLED)].map(([, name, version]) => `${name} ${version}`));
const bill = billSchema.parse(JSON.parse(await text(process.stdin)));

const components = bill.components
  .filter(({ name, version }) => bundled.delete(`${name} ${version}`))
  .map((component) => ({
    ...component,
    properties: component.properties.filter(({ name }) => name !== OF_DEVELOPMENT),
  }));
if (components.length === 0 || bundled.size > 0) {
  throw new Error(`not in the bill of all packages: ${[...bundled].join(", ")}`);
}
// npm names the whole after the folder it stands in.
const { name } = z.object({ name: z.string() }).parse(JSON.parse(readFileSync("package.json", "utf8")));
const metadata = { ...bill.metadata, component: { ...bill.metadata.component, name } };
const kept = new Set([metadata.component["bom-ref"], ...components.map((component) => component["bom-ref"])]);
const dependencies = bill.dependencies
  .filter(({ ref }) => kept.has(ref))
  .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((other) => kept.has(other)) }));
process.stdout.write(`${JSON.stringify({ ...bill, metadata, components, dependencies }, null, 2)}\n`);
