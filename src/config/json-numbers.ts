import type { Respelt } from "./document.ts";
import { createCursor, skipValue, type Visit } from "./json-cursor.ts";

const NUMBER = /[-+.0-9Ee]+/y;

/** All that may belong to the number that begins there. */
export function numberAt(text: string, at: number): string {
  NUMBER.lastIndex = at;
  return NUMBER.exec(text)?.[0] ?? text.charAt(at);
}

/** The numbers at those offsets with their paths. They are rare, so that one walk over the whole text tells them. */
export function findRespelt(text: string, offsets: readonly number[]): readonly Respelt[] {
  const respelt: Respelt[] = [];
  if (offsets.length === 0) return respelt;
  const wanted = new Set(offsets);
  const visit: Visit = (path, _, valueAt) => {
    const number = wanted.has(valueAt) ? numberAt(text, valueAt) : undefined;
    if (number !== undefined) respelt.push({ path, text: number, value: Number(number) });
    return false;
  };
  skipValue(createCursor(text, 0, visit));
  return respelt;
}
