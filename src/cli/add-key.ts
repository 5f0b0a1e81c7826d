import { toExpected, undoWrite, writeFileAtomically } from "../config/atomic-write.ts";
import type { Diagnostic } from "../config/diagnostics.ts";
import { appendKey } from "../config/keys-file.ts";
import { type LoadResult, type Overrides, parseConfiguration } from "../config/load.ts";
import { readSnapshot, type SourceIo } from "../config/source.ts";
import type { Key } from "../policy/key.ts";
import { type CreatedKey, createKey, type WantedKey } from "./create-key.ts";
import { findKeysTarget, type KeysTarget, withFile } from "./keys-target.ts";

export type AddedKey =
  | {
      readonly kind: "added";
      readonly credential: string;
      readonly key: Key;
      readonly warnings: readonly Diagnostic[];
      /** Something about how the file was written that its owner should know; usually empty. */
      readonly note: string;
      /** Takes the record out again, where its key cannot be handed out; why it could not. */
      readonly undo: () => Promise<string | undefined>;
    }
  | {
      readonly kind: "rejected";
      readonly diagnostics: readonly Diagnostic[];
      readonly textOf: ReadonlyMap<string, string>;
    }
  | { readonly kind: "problem"; readonly problem: string };

export interface AddKeyOptions {
  readonly mainFile: string;
  /** The keys file to write to; undefined: the first one the config names. */
  readonly keysFile: string | undefined;
  /** What is said over the main file. */
  readonly overrides: Overrides;
  /** Writes a record that `check` would warn of. */
  readonly force: boolean;
}

const NEW_FILE_MODE = 0o600;
const NEW_FILE: Readonly<Record<KeysTarget["fileKind"], string>> = {
  yaml: "# API keys, as digests only: the keys themselves are nowhere but with their holders.\nkeys: []\n",
  json: '{ "keys": [] }\n',
};

/** Creates a key and adds its record to a keys file, if and only if the whole config is valid with it. */
export async function addKey(
  wanted: WantedKey,
  options: AddKeyOptions,
  io: SourceIo,
  nowMs: number,
): Promise<AddedKey> {
  const found = await findKeysTarget(options.mainFile, options.keysFile, io);
  if (found.kind === "problem") return found;
  const { target } = found;
  const text = target.bytes === undefined ? NEW_FILE[target.fileKind] : Buffer.from(target.bytes).toString("utf8");

  const before = await loadWith(text, target, options, io, nowMs);
  if (before.kind === "rejected") return { ...before, textOf: new Map([[target.shown, text]]) };
  const created = await createKey(wanted, before.configuration.policy, nowMs);
  if (created.kind === "problem") return created;
  const edited = appendKey(text, target.fileKind, created.record);
  if (edited.kind === "refused") {
    return {
      kind: "problem",
      problem: `${target.shown}${edited.line === 0 ? "" : `:${edited.line}`}: ${edited.problem}`,
    };
  }

  const after = await loadWith(edited.text, target, options, io, nowMs);
  const textOf = new Map([[target.shown, edited.text]]);
  if (after.kind === "rejected") return { ...after, textOf };
  const warnings = newWarnings(before, after);
  if (warnings.some(({ path }) => path.startsWith("keys[")) && !options.force) {
    return { kind: "rejected", diagnostics: warnings, textOf };
  }
  const key = after.configuration.policy.keys.findById(wanted.id);
  if (key === undefined) {
    return { kind: "problem", problem: `${options.mainFile} does not name ${target.shown} among its keys files` };
  }
  return write(created, edited.text, target, key, warnings);
}

async function loadWith(
  text: string,
  target: KeysTarget,
  { mainFile, overrides }: AddKeyOptions,
  io: SourceIo,
  nowMs: number,
): Promise<LoadResult> {
  const mode = target.bytes === undefined ? NEW_FILE_MODE : (await io.stat(target.path)).mode;
  return parseConfiguration(await readSnapshot(mainFile, withFile(io, target.path, text, mode)), overrides, nowMs);
}

type Loaded = Extract<LoadResult, { readonly kind: "loaded" }>;

/** What nobody was warned of before this key. */
function newWarnings(before: Loaded, after: Loaded): readonly Diagnostic[] {
  const nameOf = ({ file, path, message }: Diagnostic) => JSON.stringify([file, path, message]);
  const known = new Set(before.warnings.map(nameOf));
  return after.warnings.filter((warning) => !known.has(nameOf(warning)));
}

async function write(
  created: Extract<CreatedKey, { readonly kind: "created" }>,
  text: string,
  target: KeysTarget,
  key: Key,
  warnings: readonly Diagnostic[],
): Promise<AddedKey> {
  const expected = target.bytes === undefined ? ({ kind: "absent" } as const) : toExpected(target.bytes);
  const written = await writeFileAtomically(target.path, text, expected);
  switch (written.kind) {
    case "written": {
      const note =
        written.method === "renamed" ? "" : `${target.shown} was written in place, not replaced: ${written.reason}`;
      const undo = () => undoWrite(written, target.bytes);
      return { kind: "added", credential: created.credential, key, warnings, note, undo };
    }
    case "changed":
      return { kind: "problem", problem: `${target.shown} was changed by somebody else meanwhile; try again` };
    case "failed":
      return { kind: "problem", problem: `${target.shown} cannot be written: ${written.problem}` };
    default:
      return written satisfies never;
  }
}
