import { readFileSync, writeFileSync } from "node:fs";

// The version stands in several files that different programs read. Without arguments this says whether all of them
// agree with package.json and with the changelog; with a version and a date it writes both everywhere.
// docs/releasing.md tells when.

interface Place {
  readonly file: string;
  /** What stands before the version; every occurrence counts. */
  readonly before: string;
}

const VERSION = String.raw`\d+\.\d+\.\d+(?:-[0-9A-Za-z.]+)?`;

const PLACES: readonly Place[] = [
  { file: "package.json", before: `^  "version": "` },
  { file: "package-lock.json", before: String.raw`"name": "latchkey",\n\s+"version": "` },
  { file: "Dockerfile", before: "^ARG VERSION=" },
  { file: "charts/latchkey/Chart.yaml", before: "^(?:version|appVersion): " },
  { file: "charts/latchkey/README.md", before: "name: latchkey, version: " },
  { file: "charts/example-consumer/Chart.yaml", before: String.raw`name: latchkey\n\s+version: ` },
  { file: "k8s/overlays/production/kustomization.yaml", before: String.raw`newName: \S+/latchkey\n\s+newTag: ` },
  { file: "docs/image.md", before: String.raw`registry\.example\.com/latchkey:` },
];

const CHANGELOG = "CHANGELOG.md";

const [version, date, ...surplus] = process.argv.slice(2);
if (version === undefined) check();
else if (new RegExp(`^${VERSION}$`).test(version) && /^\d{4}-\d\d-\d\d$/.test(date ?? "") && surplus.length === 0) {
  set(version, String(date));
} else {
  console.error("Usage: node scripts/release.ts [VERSION YYYY-MM-DD]");
  process.exitCode = 2;
}

function check(): void {
  const found = PLACES.map(({ file, before }) => ({ file, versions: findVersions(file, before) }));
  const wanted = found[0]?.versions[0] ?? "no version";
  const wrong = found.flatMap(({ file, versions }) => {
    if (versions.length === 0) return [`${file}: no version where one is expected`];
    return versions.filter((other) => other !== wanted).map((other) => `${file}: ${other} instead of ${wanted}`);
  });
  const told = findToldVersion(read(CHANGELOG));
  if (told !== wanted) wrong.push(`${CHANGELOG}: ${told} instead of ${wanted}`);
  for (const line of wrong) console.error(line);
  if (wrong.length > 0) process.exitCode = 1;
  else console.log(`${wanted} in ${[...found.map(({ file }) => file), CHANGELOG].join(", ")}`);
}

function set(next: string, day: string): void {
  for (const { file, before } of PLACES) {
    writeFileSync(file, read(file).replaceAll(new RegExp(`(${before})${VERSION}`, "gm"), `$1${next}`));
  }
  const changes = read(CHANGELOG).replace(/^What will be .*\n\n/m, "");
  writeFileSync(CHANGELOG, changes.replace("## [Unreleased]\n", `## [Unreleased]\n\n## [${next}] - ${day}\n`));
}

function findVersions(file: string, before: string): readonly string[] {
  return [...read(file).matchAll(new RegExp(`${before}(${VERSION})`, "gm"))].map(([, found = ""]) => found);
}

/** The latest version with a heading of its own, or the one that what is unreleased will become. */
function findToldVersion(changes: string): string {
  const heading = new RegExp(`^(?:## \\[|What will be )(${VERSION})(?:\\] - |\\.$)`, "m").exec(changes);
  return heading?.[1] ?? "no version";
}

function read(file: string): string {
  return readFileSync(file, "utf8");
}
