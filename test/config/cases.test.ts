import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { formatDiagnostics } from "../../src/config/diagnostics.ts";
import { parseConfiguration } from "../../src/config/load.ts";
import type { Configuration } from "../../src/config/settings.ts";
import type { Route } from "../../src/policy/route.ts";
import { snapshotOf } from "./snapshot-of.ts";

// A case is a main file, more files after lines such as `@@ keys.yaml`, a line of dashes, and what is
// expected: every finding as `latchkey check` prints it, then a summary when the config is valid.
// UPDATE_CASES=1 writes what was found; read the difference before you keep it.
const CASES = new URL("cases/", import.meta.url);
const DASHES = "\n----------\n";
const NOW_MS = Date.UTC(2026, 5, 1);

describe("parseConfiguration() says of each golden case what stands under its dashes", () => {
  for (const name of readdirSync(CASES).toSorted()) {
    test(name, () => {
      const file = new URL(name, CASES);
      const [input = "", expected = ""] = readFileSync(file, "utf8").split(DASHES);
      const found = run(input);
      if (process.env["UPDATE_CASES"] === "1") writeFileSync(file, `${input}${DASHES}${found}\n`);
      else expect(found).toBe(expected.trimEnd());
    });
  }
});

function run(input: string): string {
  const [main = "", ...more] = input.split(/^@@ (.+)\n/m);
  const keysFiles: Record<string, string> = {};
  for (let index = 0; index < more.length; index += 2) keysFiles[more[index] ?? ""] = more[index + 1] ?? "";
  const result = parseConfiguration(snapshotOf(main, keysFiles), {}, NOW_MS);
  if (result.kind === "rejected") return formatDiagnostics(result.diagnostics, { color: false });
  const warnings = result.warnings.length === 0 ? [] : [formatDiagnostics(result.warnings, { color: false })];
  return [...warnings, ...summarize(result.configuration)].join("\n");
}

function summarize({ policy, settings }: Configuration): readonly string[] {
  const { listen, upstream } = settings;
  const address =
    listen.address.kind === "unix" ? listen.address.path : `${listen.address.host}:${listen.address.port}`;
  return [
    `loaded: ${address} -> ${upstream.socketPath ?? upstream.origin}`,
    ...policy.routes.routes.map((route) => `route ${route.match}: ${summarizeAccess(route)}${summarizeRoute(route)}`),
    ...Array.from(policy.keys.all(), (key) => {
      const limits = key.limits.map(({ id, name, capacity }) => `${name} (${capacity}, ${id})`).join(", ");
      const networks = key.networks === undefined ? "" : ` from ${key.networks.ranges.join(", ")}`;
      return `key ${key.id} at ${key.source.file}:${key.source.line}: ${key.status} [${key.scopes.join(" ")}] ${limits}${networks}`.trimEnd();
    }),
  ];
}

function summarizeAccess({ access }: Route): string {
  if (access.kind !== "scopes") return access.kind;
  return `${access.need} of ${access.scopes.map(({ text }) => text).join(" ")}`;
}

function summarizeRoute({ cost, limits, aliases }: Route): string {
  const renamed = [
    ...[...aliases.exact].map(([from, to]) => `${from}=${to}`),
    ...aliases.endings.map(({ from, to }) => `*${from}=*${to}`),
  ];
  const parts = [
    cost === 1 ? "" : `cost ${cost}`,
    ...limits.map(({ id, capacity }) => `${id} holds ${capacity}`),
    ...renamed,
  ].filter((part) => part !== "");
  return parts.length === 0 ? "" : `, ${parts.join(", ")}`;
}
