import { type KeyFormat, matchKeyFormat, parseKeyFormat } from "../policy/key-format.ts";
import type { Diagnostic } from "./diagnostics.ts";
import { issuedFormats } from "./issue-key.ts";
import type { SourceFile } from "./snapshot.ts";

/**
 * Finds keys in plain text in the values of the files, longer ones included, by the look of the formats. Comments may show
 * examples, as those of the starting points do. No key is repeated.
 */
export function findExposedKeys(files: readonly SourceFile[], keyFormats: readonly string[]): readonly Diagnostic[] {
  const formats = issuedFormats(keyFormats.flatMap(toFormat));
  const telling = formats.filter(({ prefix }) => TELLING_PREFIX.test(prefix));
  return files.flatMap((file) => findInFile(file, telling));
}

/** What is a key by its field is said there once. */
export function withoutKnown(exposed: readonly Diagnostic[], known: readonly Diagnostic[]): readonly Diagnostic[] {
  if (exposed.length === 0) return exposed;
  const toPlace = ({ file, line, column }: Diagnostic) => `${line}:${column}:${file}`;
  const places = new Set(known.map(toPlace));
  return exposed.filter((diagnostic) => !places.has(toPlace(diagnostic)));
}

// With a character that no digest is written with, so that none is taken for a key by chance.
const TELLING_PREFIX = /[_~-]/;

function toFormat(text: string): readonly KeyFormat[] {
  const parsed = parseKeyFormat(text);
  return parsed.kind === "format" ? [parsed.format] : [];
}

function findInFile({ path, text }: SourceFile, formats: readonly KeyFormat[]): readonly Diagnostic[] {
  const places = formats.flatMap((format) => findPlaces(text, format).map((offset) => ({ offset, format })));
  let line = 1;
  let lineStart = 0;
  let lineEnd = text.indexOf("\n");
  return places
    .toSorted((a, b) => a.offset - b.offset)
    .map(({ offset, format }) => {
      while (lineEnd !== -1 && lineEnd < offset) {
        line += 1;
        lineStart = lineEnd + 1;
        lineEnd = text.indexOf("\n", lineStart);
      }
      const message = `A key stands here in plain text: ${format.prefix}…`;
      const base = { severity: "error", file: path, line, column: offset - lineStart + 1, path: "", message } as const;
      return { ...base, fix: "Take it out and rotate it; whoever could read this file could use it" };
    });
}

/** Where whole keys of a format stand, between characters that are no part of one. */
function findPlaces(text: string, format: KeyFormat): readonly number[] {
  const { prefix, pattern } = format;
  const key = new RegExp(`(?<![0-9A-Za-z])${pattern.source.slice(1, -1)}(?![0-9A-Za-z])`, "y");
  const places: number[] = [];
  for (let at = text.indexOf(prefix); at !== -1; at = text.indexOf(prefix, at + 1)) {
    key.lastIndex = at;
    const found = key.exec(text)?.[0];
    // A value in quotes begins with the quote, for everybody who speaks of its place.
    const start = /["']/.test(text.charAt(at - 1)) ? at - 1 : at;
    if (found === undefined || isComment(text, at) || matchKeyFormat(found, [format]) === undefined) continue;
    places.push(start);
  }
  return places;
}

// YAML 1.2 §6.6: a # begins a comment at the start of a line or after a blank. In JSON none stands between a key and that.
const COMMENT = /(?:^|[ \t])#/;
// Nobody comments at such length, and a whole file may stand on one line.
const LONGEST_COMMENT = 1000;

function isComment(text: string, at: number): boolean {
  const before = text.slice(Math.max(0, at - LONGEST_COMMENT), at);
  return COMMENT.test(before.slice(before.lastIndexOf("\n") + 1));
}
