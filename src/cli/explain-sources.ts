import type { Path } from "../config/diagnostics.ts";
import type { Document } from "../config/document.ts";
import { parseDocument } from "../config/parse-document.ts";
import type { Snapshot } from "../config/snapshot.ts";
import type { Key } from "../policy/key.ts";
import type { Source } from "../policy/route.ts";

/** Finds the lines of config that said what a check went by; undefined where a default did. */
export interface Sources {
  readonly inMain: (...path: readonly string[]) => Source | undefined;
  /** The field of a key's record, or the record where it has no such field. */
  readonly inKey: (key: Key, field: string) => Source;
  readonly hasField: (key: Key, field: string) => boolean;
}

/** Looks into the very texts that the policy was compiled from. */
export function createSources(snapshot: Snapshot): Sources {
  const documents = new Map<string, Document | undefined>();
  const documentOf = (file: string): Document | undefined => {
    if (!documents.has(file)) documents.set(file, readDocument(file, snapshot));
    return documents.get(file);
  };
  const findField = (key: Key, field: string): Source | undefined => {
    const document = documentOf(key.source.file);
    const path = document && findRecord(document, key.id);
    return document && path && find(document, [...path, field]);
  };
  return {
    inMain: (...path) => {
      const document = documentOf(snapshot.mainFile);
      return document && find(document, path);
    },
    inKey: (key, field) => findField(key, field) ?? key.source,
    hasField: (key, field) => findField(key, field) !== undefined,
  };
}

function readDocument(file: string, { main, keysFiles }: Snapshot): Document | undefined {
  const source = [...(main === undefined ? [] : [main]), ...keysFiles].find(({ path }) => path === file);
  const parsed = source && parseDocument(file, source.text);
  return parsed?.kind === "document" ? parsed.document : undefined;
}

function findRecord(document: Document, id: string): Path | undefined {
  const keys = memberOf(document.value, "keys");
  const index = Array.isArray(keys) ? keys.findIndex((record) => memberOf(record, "id") === id) : -1;
  return index === -1 ? undefined : ["keys", index];
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? new Map(Object.entries(value)).get(name)
    : undefined;
}

function find(document: Document, path: Path): Source | undefined {
  const place = document.locate(path, "name");
  return place && { file: document.file, line: place.line };
}
