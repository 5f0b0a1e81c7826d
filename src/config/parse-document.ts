import { type Diagnostic, formatPath } from "./diagnostics.ts";
import {
  type Document,
  type DocumentProblem,
  MAX_FILE_BYTES,
  type Position,
  type ReadDocument,
  toPosition,
} from "./document.ts";
import { parseJson } from "./json-document.ts";
import { parseYaml } from "./yaml-document.ts";

export type ParsedDocument =
  | { readonly kind: "document"; readonly document: Document }
  | { readonly kind: "refused"; readonly diagnostics: readonly Diagnostic[] };

/** Reads YAML, or JSON where the file's name ends so. Hostile text is refused with its place, never thrown at. */
export function parseDocument(file: string, text: string): ParsedDocument {
  const bare = text.startsWith("\uFEFF") ? text.slice(1) : text;
  const read = readText(file, bare);
  if (read.kind === "read") {
    const { value, locate, recordLine, respelt } = read;
    return { kind: "document", document: { file, value, locate, recordLine, respelt } };
  }
  return { kind: "refused", diagnostics: read.problems.map((problem) => toDiagnostic(file, problem)) };
}

function readText(file: string, text: string): ReadDocument {
  // A character takes at least one byte, so this bounds the bytes from below without encoding them.
  if (text.length > MAX_FILE_BYTES) return refuse(`The file is larger than ${MAX_FILE_BYTES / 1024 ** 2} MiB`);
  const nul = text.indexOf("\0");
  if (nul !== -1) return refuse("The file holds a NUL byte; expected text", toPosition(text, nul));
  if (text.trim() === "") return refuse("The file is empty");
  return file.toLowerCase().endsWith(".json") ? parseJson(text) : parseYaml(text);
}

function toDiagnostic(file: string, { position, path, message, fix }: DocumentProblem): Diagnostic {
  const place = { line: position?.line ?? 0, column: position?.column ?? 0 };
  const diagnostic = { severity: "error", file, ...place, path: formatPath(path), message } as const;
  return fix === undefined ? diagnostic : { ...diagnostic, fix };
}

function refuse(message: string, position?: Position): ReadDocument {
  return { kind: "refused", problems: [{ position, path: [], message }] };
}
