import { fileURLToPath } from "node:url";
import { isMap, isScalar, parseDocument } from "yaml";
import { findNearest } from "../config/diagnostics.ts";
import { redactKeys } from "../policy/key-format.ts";
import { CONFIG_FILE, type Start } from "./init-files.ts";
import { readConfig } from "./load-config.ts";
import { listStartingPoints, STARTING_POINTS } from "./starting-points.ts";

export type FoundStart =
  | { readonly kind: "start"; readonly start: Start }
  | { readonly kind: "problem"; readonly problem: string };

/** A config to begin with, as it stands there but for the upstream; its keys only as comments, without digests. */
export async function findStartingPoint(name: string, upstream: string): Promise<FoundStart> {
  const names = listStartingPoints();
  if (!names.includes(name)) {
    const nearest = findNearest(name, names);
    const known = names.length === 0 ? "this installation has none" : `expected ${names.join(", ")}`;
    const fix = nearest === undefined ? "" : `; did you mean ${nearest}?`;
    return { kind: "problem", problem: `nothing to begin with is called "${name}"; ${known}${fix}` };
  }
  const file = fileURLToPath(new URL(`${name}/${CONFIG_FILE}`, STARTING_POINTS));
  const { loaded, snapshot } = await readConfig(file, { env: {} }, 0);
  if (loaded.kind === "rejected" || snapshot.main === undefined) {
    return { kind: "problem", problem: `${file} is not valid; \`latchkey check --config ${file}\` says why` };
  }
  const { keyFormats, keys } = loaded.configuration.policy;
  const examples = snapshot.keysFiles.map(({ text }) => redactKeys(toExamples(text), keyFormats)).join("\n");
  const { text } = snapshot.main;
  return {
    kind: "start",
    start: {
      config: withUpstream(text, upstream),
      keys: toKeysFile(examples),
      // A wildcard is too much for a first key, and needs quotes in a shell.
      scope: [...keys.all()].flatMap(({ scopes }) => scopes).find((scope) => !scope.includes("*")),
    },
  };
}

/** The same text with another upstream in it, every other byte as it was. */
function withUpstream(text: string, upstream: string): string {
  const written = parseDocument(text).get("upstream", true);
  const url = isMap(written) ? written.get("url", true) : written;
  if (isScalar(url) && url.value === upstream) return text;
  if (!isScalar(url) || !url.range) return `${text.trimEnd()}\n\nupstream: ${JSON.stringify(upstream)}\n`;
  return text.slice(0, url.range[0]) + JSON.stringify(upstream) + text.slice(url.range[1]);
}

/** The records of a keys file without the comment that opens it and without digests: everybody knows these keys. */
function toExamples(text: string): string {
  const records = text.slice(text.search(/^keys:/m)).replace(/^keys:.*\n/, "");
  return records.replace(
    /\bhash: *"?(sha256:|hmac-sha256:|\$2[aby]\$)[^"\s]*"?/g,
    (_, kind: string) => `hash: "${kind}…"`,
  );
}

function toKeysFile(examples: string): string {
  const lines = examples.trimEnd().split("\n");
  return `# API keys, as digests only: the keys themselves are nowhere but with their holders.
# Add one with: latchkey keys create --id my-first-key
#
# What records may say:
#
${lines.map((line) => `# ${line}`.trimEnd()).join("\n")}
keys: []
`;
}
