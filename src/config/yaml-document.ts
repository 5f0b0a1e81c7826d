import {
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  type Pair,
  parseDocument as parseTree,
  visit,
  type YAMLMap,
  type Document as YamlTree,
} from "yaml";
import type { Path } from "./diagnostics.ts";
import { type DocumentProblem, MAX_DEPTH, type Position, type ReadDocument, type Respelt } from "./document.ts";
import { readPlainRecords } from "./plain-records.ts";

// The library takes about 0.7 µs and 150 bytes of memory for each character it reads.
const MAX_TREE_CHARACTERS = 8 * 1024 * 1024;
// Below this the library takes no longer than a person notices, and one reader is simpler than two.
const PLAIN_FROM_CHARACTERS = 256 * 1024;

// How many values aliases may stand for in all: ample for shared lists, far from a "billion laughs".
const MAX_ALIASED_VALUES = 100_000;

/** Reads one YAML 1.2 document of plain data: no tags, no merge keys, no explicit keys, no name twice. */
export function parseYaml(text: string): ReadDocument {
  if (text.length < PLAIN_FROM_CHARACTERS) return parseTreeOf(text);
  const plain = readPlainRecords(text);
  if (plain.kind === "records") {
    const { value, offsets, lines } = plain;
    const locateRecord: ReadLocate = (path, part) => locateInRecord(text, offsets, lines, path, part);
    // It reads no number that is not written as the program would write it.
    return { kind: "read", value, locate: locateRecord, recordLine: (index) => lines[index] ?? 0, respelt: [] };
  }
  if (plain.kind === "refused") return { kind: "refused", problems: [plain.problem] };
  if (text.length <= MAX_TREE_CHARACTERS) return parseTreeOf(text);
  return refuse(
    `A file of more than ${MAX_TREE_CHARACTERS / 1024 ** 2} MiB may hold only plain records, one field to a line; this line is more`,
    { line: plain.line, column: 1 },
  );
}

type ReadLocate = Extract<ReadDocument, { kind: "read" }>["locate"];

/** Finds a place within a record by giving that record alone to the library. */
function locateInRecord(
  text: string,
  offsets: readonly number[],
  lines: readonly number[],
  [field, index, ...rest]: Path,
  part: "value" | "name",
): Position | undefined {
  if (field !== "keys" || typeof index !== "number") return field === "keys" ? { line: 1, column: 1 } : undefined;
  const offset = offsets[index];
  if (offset === undefined) return undefined;
  const record = parseTreeOf(text.slice(offset, offsets[index + 1]));
  const place = record.kind === "read" ? record.locate([0, ...rest], part) : undefined;
  return place && { line: place.line + (lines[index] ?? 1) - 1, column: place.column };
}

function parseTreeOf(text: string): ReadDocument {
  const lines = new LineCounter();
  const positionAt = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  const danger = findDanger(text);
  if (danger !== undefined) return { kind: "refused", problems: [danger] };
  const tree = grow(text, lines);
  if (typeof tree === "string") return refuse(tree, undefined);
  if (tree.errors.length > 0) {
    // Where the text ends, everything ends too soon; only the first complaint is news.
    const news = tree.errors.filter(({ pos }, index) => index === 0 || pos[0] < text.length);
    const problems = news.map((error) => ({
      position: positionAt(findUnclosed(tree, error.pos[0]) ?? error.pos[0]),
      path: [],
      message: toMessage(error.code, error.message),
    }));
    return { kind: "refused", problems };
  }
  const walk: Walk = { problems: [], anchors: new Map(), aliased: 0, respelt: [], positionAt };
  const { value } = toValue(tree.contents, [], walk);
  if (walk.problems.length > 0) return { kind: "refused", problems: walk.problems };
  return {
    kind: "read",
    value,
    locate: (path, part) => locate(tree, path, part, positionAt),
    recordLine: (index) => locate(tree, ["keys", index], "value", positionAt)?.line ?? 0,
    respelt: walk.respelt,
  };
}

function refuse(message: string, position: Position | undefined): ReadDocument {
  return { kind: "refused", problems: [{ position, path: [], message }] };
}

/** What would cost the parser more than linear time, found by its own lexer, which is linear. */
function findDanger(text: string): DocumentProblem | undefined {
  let depth = 0;
  let offset = 0;
  for (const token of new Lexer().lex(text)) {
    const isMarker = token === "\u0002" || token === "\u0018" || token === "\u001f";
    if (token === "[" || token === "{") depth += 1;
    else if (token === "]" || token === "}") depth -= 1;
    else if (token === "?") {
      const message = 'Explicit keys ("? ") are not part of this language; write name: value';
      return { position: positionIn(text, offset), path: [], message };
    }
    if (depth > MAX_DEPTH) return { position: positionIn(text, offset), path: [], message: TOO_DEEP };
    if (!isMarker) offset += token.length;
  }
  return undefined;
}

const TOO_DEEP = `Values are nested more than ${MAX_DEPTH} deep`;

function positionIn(text: string, offset: number): Position {
  const before = text.slice(0, offset).split("\n");
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

function grow(text: string, lineCounter: LineCounter): YamlTree.Parsed | string {
  try {
    // `uniqueKeys` compares each name with all others; ours are checked in `toValue`, by a set.
    return parseTree(text, {
      lineCounter,
      uniqueKeys: false,
      stringKeys: true,
      prettyErrors: false,
      logLevel: "error",
    });
  } catch (error) {
    // The library recurses by depth; the stack's end is reached only by nesting no config has.
    return error instanceof RangeError ? TOO_DEEP : "The file cannot be read as YAML";
  }
}

/** Where a text in quotes begins that nothing closes: the library points to where it gave up. */
function findUnclosed(tree: YamlTree.Parsed, end: number): number | undefined {
  let start: number | undefined;
  visit(tree, {
    Scalar: (_, { type, range }) => {
      const isQuoted = type === "QUOTE_DOUBLE" || type === "QUOTE_SINGLE";
      if (isQuoted && range?.[1] === end) start = range[0];
    },
  });
  return start;
}

function toMessage(code: string, message: string): string {
  if (code === "MULTIPLE_DOCS") return "The file holds several YAML documents; expected one";
  if (code === "NON_STRING_KEY") return "Expected a plain name before the colon";
  return `Invalid YAML: ${message.split("\n", 1)[0] ?? ""}`;
}

interface Walk {
  readonly problems: DocumentProblem[];
  readonly anchors: Map<string, Walked>;
  aliased: number;
  readonly respelt: Respelt[];
  readonly positionAt: (offset: number) => Position;
}

interface Walked {
  readonly value: unknown;
  /** How many values it is made of, those behind aliases counted each time. */
  readonly size: number;
}

const NOTHING: Walked = { value: null, size: 1 };

function toValue(node: unknown, path: Path, walk: Walk): Walked {
  if (!isNode(node)) return NOTHING;
  if (path.length > MAX_DEPTH) return report(walk, node, path, TOO_DEEP);
  if (isAlias(node)) {
    const target = walk.anchors.get(node.source);
    if (target === undefined) return report(walk, node, path, `Alias *${node.source} stands for nothing before it`);
    walk.aliased += target.size;
    return walk.aliased > MAX_ALIASED_VALUES
      ? report(walk, node, path, `Aliases stand for more than ${MAX_ALIASED_VALUES} values`)
      : target;
  }
  if (node.tag !== undefined)
    return report(
      walk,
      node,
      path,
      `Tags such as ${node.tag.replace("tag:yaml.org,2002:", "!!")} are not part of this language`,
    );
  const walked = toBareValue(node, path, walk);
  if (node.anchor !== undefined) walk.anchors.set(node.anchor, walked);
  return walked;
}

function toBareValue(node: Node, path: Path, walk: Walk): Walked {
  if (isScalar(node)) {
    const { value, source } = node;
    if (typeof value === "number" && source !== undefined && source !== String(value)) {
      walk.respelt.push({ path, text: source, value });
    }
    return { value: value ?? null, size: 1 };
  }
  if (isSeq(node)) {
    const items = node.items.map((item, index) => toValue(item, [...path, index], walk));
    return { value: items.map((item) => item.value), size: sum(items) };
  }
  if (!isMap(node)) return NOTHING;
  const members = new Map<string, Walked>();
  for (const pair of node.items) {
    const name = readName(pair, path, walk);
    if (name === undefined) continue;
    if (members.has(name))
      report(walk, pair.key, [...path, name], `The name ${JSON.stringify(name)} stands twice here`);
    members.set(name, toValue(pair.value, [...path, name], walk));
  }
  const value = Object.fromEntries([...members].map(([name, member]) => [name, member.value]));
  return { value, size: sum([...members.values()]) };
}

function sum(parts: readonly Walked[]): number {
  return parts.reduce((size, part) => size + part.size, 1);
}

function readName(pair: Pair, path: Path, walk: Walk): string | undefined {
  const { key } = pair;
  if (!isScalar(key) || typeof key.value !== "string" || key.tag !== undefined) {
    report(walk, key, path, "Expected a plain name before the colon");
    return undefined;
  }
  if (key.value === "__proto__") {
    report(walk, key, path, "The name __proto__ is not allowed");
    return undefined;
  }
  if (key.value === "<<") {
    report(walk, key, path, "Merge keys (<<) are not part of this language; write the fields out");
    return undefined;
  }
  return key.value;
}

function report(walk: Walk, node: unknown, path: Path, message: string): Walked {
  const offset = isNode(node) ? node.range?.[0] : undefined;
  walk.problems.push({ position: offset === undefined ? undefined : walk.positionAt(offset), path, message });
  return NOTHING;
}

function locate(
  tree: YamlTree.Parsed,
  path: Path,
  part: "value" | "name",
  positionAt: (offset: number) => Position,
): Position | undefined {
  let node: unknown = tree.contents;
  let name: unknown;
  for (const step of path) {
    if (isAlias(node)) node = node.resolve(tree);
    if (isSeq(node) && typeof step === "number") {
      node = node.items[step];
      name = undefined;
    } else if (isMap(node)) {
      const pair = findPair(node, step);
      node = pair?.value;
      name = pair?.key;
    } else return undefined;
    if (node === undefined && name === undefined) return undefined;
  }
  // A name without a value, as `scopes:`, is shown by its name.
  const shown =
    part === "name" ? (name ?? node) : isNode(node) && node.range?.[0] !== node.range?.[1] ? node : (name ?? node);
  const offset = isNode(shown) ? shown.range?.[0] : undefined;
  return offset === undefined ? undefined : positionAt(offset);
}

// Every diagnostic asks for its place: in a map of many names, looking through all of them each time is quadratic.
const PAIRS = new WeakMap<YAMLMap, ReadonlyMap<unknown, Pair>>();

function findPair(map: YAMLMap, step: string | number): Pair | undefined {
  let pairs = PAIRS.get(map);
  if (pairs === undefined) {
    const scalars = map.items.flatMap((pair) =>
      isPair(pair) && isScalar(pair.key) ? [[pair.key.value, pair] as const] : [],
    );
    // Of a name that stands twice, the first.
    pairs = new Map(scalars.reverse());
    PAIRS.set(map, pairs);
  }
  return pairs.get(step);
}
