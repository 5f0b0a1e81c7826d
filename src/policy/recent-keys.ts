import type { KeyDigest } from "./digest.ts";
import type { Key } from "./key.ts";

type HexDigest = Exclude<KeyDigest, { readonly kind: "bcrypt" }>;

// Of a thousand keys in use one in nine shares its place with another, and makes room for it by turns.
const MAX_PLACES = 8_192;
const PLACES_PER_KEY = 8;

/**
 * The keys found of late, by digest. Digests are spread evenly, so that the beginning of one is its place: a `Map` goes
 * through all of it for that.
 */
export class RecentKeys {
  readonly #places: (Key | undefined)[];

  /** Of a table of so many keys. */
  constructor(count: number) {
    const places = Math.min(MAX_PLACES, 2 ** Math.ceil(Math.log2(Math.max(1, count * PLACES_PER_KEY))));
    this.#places = new Array<Key | undefined>(places).fill(undefined);
  }

  get({ kind, hex }: HexDigest): Key | undefined {
    const key = this.#places[this.#placeOf(hex)];
    const known = key?.digest;
    return known !== undefined && known.kind === kind && known.hex === hex ? key : undefined;
  }

  set({ hex }: HexDigest, key: Key): void {
    this.#places[this.#placeOf(hex)] = key;
  }

  #placeOf(hex: string): number {
    const place = digitAt(hex, 0) | (digitAt(hex, 1) << 4) | (digitAt(hex, 2) << 8) | (digitAt(hex, 3) << 12);
    return place & (this.#places.length - 1);
  }
}

/** The value of a lower-case hexadecimal digit. */
function digitAt(hex: string, at: number): number {
  const code = hex.charCodeAt(at);
  return (code & 0xf) + (code >> 6) * 9;
}
