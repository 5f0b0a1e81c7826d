/** One finding about a config, precise enough to act on without opening the documentation. */
export interface Diagnostic {
  readonly severity: "error" | "warning";
  /** As the user named it; a flag or environment variable stands here under its own name. */
  readonly file: string;
  /** Both count from 1; both are 0 where the whole file, or no file, is meant. */
  readonly line: number;
  readonly column: number;
  /** Such as `routes[2].scopes[0]`; empty for the whole file. */
  readonly path: string;
  /** What is wrong and what was expected. Never holds a secret. */
  readonly message: string;
  /** What to write instead, such as the nearest real name. */
  readonly fix?: string;
}

/** A place in a document, from its root. */
export type Path = readonly (string | number)[];

export interface FormatOptions {
  /** Whether the terminal shows ANSI colours. */
  readonly color: boolean;
  /** The text of a file, for an excerpt under each finding; undefined where it cannot be shown. */
  readonly textOf?: (file: string) => string | undefined;
}

// A file of 100,000 records can be wrong 100,000 times; nobody reads further than this, and the count says the rest.
const MAX_SHOWN = 200;

/** Findings for people: `file:line:column: error: path: message`, the line it stands on, and what to write instead. */
export function formatDiagnostics(diagnostics: readonly Diagnostic[], options: FormatOptions): string {
  const shown = diagnostics.slice(0, MAX_SHOWN).map((diagnostic) => formatDiagnostic(diagnostic, options));
  if (diagnostics.length > MAX_SHOWN) shown.push(`… and ${diagnostics.length - MAX_SHOWN} more`);
  return shown.join("\n");
}

function formatDiagnostic(diagnostic: Diagnostic, options: FormatOptions): string {
  const { severity, file, line, column, path, message, fix } = diagnostic;
  const name = escapeUnshown(file);
  const place = line === 0 ? name : `${name}:${line}:${column}`;
  const paint = (code: string, text: string) => (options.color ? `\u001b[${code}m${text}\u001b[0m` : text);
  const label = severity === "error" ? paint("1;31", "error") : paint("1;33", "warning");
  const lines = [`${paint("1", place)}: ${label}: ${path === "" ? "" : `${path}: `}${message}`];
  const excerpt = line === 0 ? undefined : toExcerpt(options.textOf?.(file), diagnostic);
  if (excerpt !== undefined) lines.push(...excerpt);
  if (fix !== undefined) lines.push(`  ${paint("32", "fix")}: ${fix}`);
  return lines.join("\n");
}

// What a terminal obeys or hides instead of showing: controls, halves of a character, and what turns text around (CVE-2021-42574).
const UNSHOWN = /[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/** The same finding with everything that came from a file made visible: on one line, and no order to a terminal. */
export function toVisible(diagnostic: Diagnostic): Diagnostic {
  const { message, path, fix } = diagnostic;
  const visible = { ...diagnostic, message: escapeUnshown(message), path: escapeUnshown(path) };
  return fix === undefined ? visible : { ...visible, fix: escapeUnshown(fix) };
}

/** Written as JSON writes it. */
function escapeUnshown(text: string): string {
  return text.replaceAll(UNSHOWN, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

const EXCERPT_WIDTH = 100;
// Lines that may hold a raw key or another secret are described, never shown.
const SECRET_LINE = /hash|key|secret|token|pepper|password|credential/i;

function toExcerpt(text: string | undefined, { line, column, path, message }: Diagnostic): string[] | undefined {
  // One character for one, so that the caret stays below its place.
  const source = text?.split("\n", line)[line - 1]?.replaceAll("\t", " ").trimEnd().replaceAll(UNSHOWN, "\ufffd");
  if (source === undefined || SECRET_LINE.test(source) || SECRET_LINE.test(path) || SECRET_LINE.test(message)) {
    return undefined;
  }
  const from = Math.max(0, column - EXCERPT_WIDTH / 2);
  const gutter = `${line}`;
  return [
    `  ${gutter} | ${source.slice(from, from + EXCERPT_WIDTH)}`,
    `  ${" ".repeat(gutter.length)} | ${" ".repeat(Math.max(0, column - 1 - from))}^`,
  ];
}

/** Sorts findings as a reader meets them: by file in the given order, then by place. */
export function sortDiagnostics(
  diagnostics: readonly Diagnostic[],
  fileOrder: readonly string[],
): readonly Diagnostic[] {
  const rank = new Map(fileOrder.map((file, index) => [file, index]));
  // What no file holds (a flag, a variable) comes first: it is what was typed last.
  const rankOf = (diagnostic: Diagnostic) => rank.get(diagnostic.file) ?? -1;
  return diagnostics.toSorted((a, b) => rankOf(a) - rankOf(b) || a.line - b.line || a.column - b.column);
}

/** A path as people write it: `routes[2].scopes[0]`, `scopes["orders:read"]`. */
export function formatPath(path: Path): string {
  let text = "";
  for (const step of path) {
    if (typeof step === "number") text += `[${step}]`;
    else if (/^[A-Za-z_$][\w$-]*$/.test(step)) text += text === "" ? step : `.${step}`;
    else text += `[${JSON.stringify(step)}]`;
  }
  return text;
}

/** The name an author most likely meant: the nearest by edits, if it is near at all. */
export function findNearest(written: string, names: Iterable<string>): string | undefined {
  let nearest: string | undefined;
  // A third of the letters may be wrong; beyond that a suggestion is a guess.
  let best = Math.floor(Math.max(written.length, 3) / 3) + 1;
  for (const name of names) {
    if (Math.abs(name.length - written.length) >= best) continue;
    const distance = countEdits(fold(written), fold(name));
    if (distance < best) {
      best = distance;
      nearest = name;
    }
  }
  return nearest;
}

/** `trusted_proxies`, `TrustedProxies` and `trusted-proxies` are slips of the same name. */
function fold(name: string): string {
  return name.toLowerCase().replace(/[_-]/g, "");
}

// Longer names are no slip of ours, and the comparison is quadratic.
const MAX_COMPARED = 64;

/** Edit distance in which two neighbouring letters swapped are one edit, as fingers make them. */
function countEdits(a: string, b: string): number {
  if (a.length > MAX_COMPARED || b.length > MAX_COMPARED) return Number.POSITIVE_INFINITY;
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const same = a[row - 1] === b[column - 1] ? 0 : 1;
      let edits = Math.min(at(previous, column) + 1, at(current, column - 1) + 1, at(previous, column - 1) + same);
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]) {
        edits = Math.min(edits, at(before, column - 2) + 1);
      }
      current.push(edits);
    }
    before = previous;
    previous = current;
  }
  return at(previous, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}
