interface Entry<V> {
  readonly text: string;
  readonly value: V;
}

/**
 * Values by texts that a config names, for texts that a client sent. Not a `Map`: V8 looks up no fresh slice in one before
 * it has asked its own table of strings for the one string of that text, which takes several times as long as the rest.
 */
export class LiteralIndex<V> {
  readonly #entries: Entry<V>[] = [];
  /** Entries by place; there are a power of two of these, never fewer than entries. */
  #places: Entry<V>[][] = [[]];
  #longest = 0;

  get(text: string): V | undefined {
    // However long a text a client sends, no more of it is read than a literal has.
    if (text.length > this.#longest) return undefined;
    const entries = this.#places[placeOf(text, this.#places.length)] ?? [];
    for (const entry of entries) if (entry.text === text) return entry.value;
    return undefined;
  }

  /** A text that is not there yet. */
  add(text: string, value: V): void {
    this.#entries.push({ text, value });
    this.#longest = Math.max(this.#longest, text.length);
    const last = this.#entries.slice(-1);
    if (this.#entries.length <= this.#places.length) put(this.#places, last);
    else {
      this.#places = Array.from({ length: this.#places.length * 2 }, () => []);
      put(this.#places, this.#entries);
    }
  }
}

function put<V>(places: Entry<V>[][], entries: readonly Entry<V>[]): void {
  for (const entry of entries) places[placeOf(entry.text, places.length)]?.push(entry);
}

function placeOf(text: string, places: number): number {
  let hash = text.length;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash, 31) + text.charCodeAt(at);
  return (hash ^ (hash >>> 15)) & (places - 1);
}
