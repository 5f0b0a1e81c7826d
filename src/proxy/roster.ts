/** Something that may stand in a roster: one at a time. */
export interface Entry {
  /** The roster's own: where in it this stands, NOT_LISTED before and after. */
  place: number;
}

export const NOT_LISTED = -1;

/**
 * What is there now, in no order, for things that come and go with every request. An array and no `Set`: V8 leaves a
 * set that has made room for itself behind with a reference to the next, and once one of them is old, all that follow
 * are kept until a full collection, and everything they held with them.
 */
export class Roster<T extends Entry> {
  readonly #entries: T[] = [];

  get size(): number {
    return this.#entries.length;
  }

  add(entry: T): void {
    entry.place = this.#entries.length;
    this.#entries.push(entry);
  }

  /** Whether it was there. */
  remove(entry: T): boolean {
    const { place } = entry;
    if (place === NOT_LISTED) return false;
    entry.place = NOT_LISTED;
    const last = this.#entries.pop();
    if (last !== undefined && last !== entry) {
      last.place = place;
      this.#entries[place] = last;
    }
    return true;
  }

  /** Those that are there now, whatever becomes of them meanwhile. */
  list(): readonly T[] {
    return this.#entries.slice();
  }
}
