// Peers write the same few methods and names again and again. One who invents them may take a place that nobody has.
const PLACES = 1024;
// Longer than the names in use, and shorter than a key that somebody sends where a name should be.
const MAX_LENGTH = 32;
const kept: (string | undefined)[] = new Array<string | undefined>(PLACES).fill(undefined);

/**
 * The same text as `text.slice(from, to)`, and of one that comes often always the same string. V8 looks up no fresh slice
 * in a `Map` or a `Set` before it has asked its own table of strings for the one string of that text: four times the
 * work, for each slice anew. A string that is kept here is that one already.
 */
export function sliceKept(text: string, from: number, to: number): string {
  const slice = text.slice(from, to);
  if (slice === "") return slice;
  const place = placeOf(slice);
  const known = kept[place];
  if (known === slice) return known;
  if (known === undefined && slice.length <= MAX_LENGTH) kept[place] = toOneString(slice);
  return slice;
}

function placeOf(text: string): number {
  const { length } = text;
  const ends = text.charCodeAt(0) * 31 + text.charCodeAt(length - 1) * 5;
  return (ends + text.charCodeAt(length >> 1) * 67 + length * 7) % PLACES;
}

/**
 * The same text in one piece. What was put together of pieces stays a tree of them in V8, and whoever writes it goes
 * through that tree each time: for what is kept, and written often.
 */
export function toOneString(text: string): string {
  // The names of properties are whole strings, and of each text there is one.
  return Object.keys({ [text]: undefined })[0] ?? text;
}
