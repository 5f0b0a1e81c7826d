interface Entry<V> {
  readonly text: string;
  readonly value: V;
}

// Of texts that are not made to share places as many do by chance in none of a thousand sets.
const MAX_IN_PLACE = 16;

/**
 * Values by texts that a config names, for texts that a client sent. Not a `Map` if it can be helped: V8 looks up no fresh
 * slice in one before it has asked its own table of strings for the one string of that text, which takes several times as
 * long as the rest. No look-up takes long, whatever the texts: those that would crowd one place are kept in a `Map`.
 */
export class LiteralIndex<V> {
  readonly #entries: Entry<V>[] = [];
  /** Entries by place; there are a power of two of these, never fewer than entries. */
  #places: Entry<V>[][] = [[]];
  #longest = 0;
  #crowded: Map<string, V> | undefined;

  get(text: string): V | undefined {
    // However long a text a client sends, no more of it is read than a literal has.
    if (text.length > this.#longest) return undefined;
    if (this.#crowded !== undefined) return this.#crowded.get(text);
    const entries = this.#places[placeOf(text, this.#places.length)] ?? [];
    for (const entry of entries) if (entry.text === text) return entry.value;
    return undefined;
  }

  /** A text that is not there yet. */
  add(text: string, value: V): void {
    this.#longest = Math.max(this.#longest, text.length);
    if (this.#crowded !== undefined) {
      this.#crowded.set(text, value);
      return;
    }
    const entry = { text, value };
    this.#entries.push(entry);
    if (this.#entries.length <= this.#places.length) this.#put(entry);
    else {
      this.#places = Array.from({ length: this.#places.length * 2 }, () => []);
      for (const each of this.#entries) this.#put(each);
    }
  }

  #put(entry: Entry<V>): void {
    const entries = this.#places[placeOf(entry.text, this.#places.length)];
    entries?.push(entry);
    if (entries === undefined || entries.length <= MAX_IN_PLACE) return;
    this.#crowded ??= new Map(this.#entries.map((each) => [each.text, each.value]));
  }
}

function placeOf(text: string, places: number): number {
  let hash = text.length;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash, 31) + text.charCodeAt(at);
  return (hash ^ (hash >>> 15)) & (places - 1);
}
