import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import type { KeysFileKind } from "../config/keys-file.ts";
import { parseDocument } from "../config/parse-document.ts";
import { readSnapshot, type SourceIo } from "../config/source.ts";

/** The file a new key goes to. */
export interface KeysTarget {
  /** Absolute, for the file system. */
  readonly path: string;
  /** As messages name it. */
  readonly shown: string;
  readonly fileKind: KeysFileKind;
  /** Undefined when there is no such file yet. */
  readonly bytes: Uint8Array | undefined;
}

export type FoundTarget =
  | { readonly kind: "target"; readonly target: KeysTarget }
  | { readonly kind: "problem"; readonly problem: string };

/** Finds the keys file to write to: the one asked for, else the first that the config names. */
export async function findKeysTarget(mainFile: string, asked: string | undefined, io: SourceIo): Promise<FoundTarget> {
  if (asked !== undefined) return readTarget(resolve(asked), asked, io);
  const snapshot = await readSnapshot(mainFile, io);
  if (snapshot.main === undefined) return problem(`${mainFile}: ${snapshot.problems[0]?.message ?? "cannot be read"}`);
  const parsed = parseDocument(mainFile, snapshot.main.text);
  if (parsed.kind === "refused") return problem(`${mainFile} has errors; \`latchkey check\` names them`);
  const keys = memberOf(parsed.document.value, "keys");
  if (Array.isArray(keys)) return readTarget(resolve(mainFile), mainFile, io);
  const named = namesOf(typeof keys === "string" ? keys : memberOf(keys, "files"));
  const first = named.find((name) => !name.includes("*"));
  const shown = first === undefined ? snapshot.keysFiles[0]?.path : besideMain(mainFile, first);
  if (shown !== undefined) return readTarget(resolve(shown), shown, io);
  return named.length === 0
    ? problem(`${mainFile} names no keys file; add the line "keys: keys.yaml" to it`)
    : problem(`no file matches ${named.join(", ")} yet; name a new one with --file`);
}

function problem(text: string): FoundTarget {
  return { kind: "problem", problem: text };
}

function namesOf(files: unknown): readonly string[] {
  if (typeof files === "string") return [files];
  return Array.isArray(files) ? files.filter((name) => typeof name === "string") : [];
}

function besideMain(mainFile: string, name: string): string {
  return isAbsolute(name) ? name : join(dirname(mainFile), name);
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? new Map(Object.entries(value)).get(name) : undefined;
}

async function readTarget(path: string, shown: string, io: SourceIo): Promise<FoundTarget> {
  const fileKind = path.toLowerCase().endsWith(".json") ? "json" : "yaml";
  try {
    return { kind: "target", target: { path, shown, fileKind, bytes: await io.readFile(path) } };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT") return { kind: "target", target: { path, shown, fileKind, bytes: undefined } };
    return problem(`${shown} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** The file system as it would be with one file holding `text`, so that a change is judged before it is made. */
export function withFile(io: SourceIo, path: string, text: string, mode: number): SourceIo {
  const bytes = new TextEncoder().encode(text);
  return {
    ...io,
    stat: async (asked) =>
      asked === path ? { size: bytes.byteLength, mode, isFile: true, isDirectory: false, version: "" } : io.stat(asked),
    readFile: async (asked) => (asked === path ? bytes : io.readFile(asked)),
    readDirectory: async (asked) => {
      const names = await io.readDirectory(asked);
      return asked !== dirname(path) || names.includes(basename(path)) ? names : [...names, basename(path)];
    },
  };
}
