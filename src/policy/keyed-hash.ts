/** What a table's hashes depend on, so that nobody can choose keys that all fall into one place of it. */
export type HashSeed = readonly [number, number];

/**
 * HalfSipHash-1-3 over some 32-bit words (Aumasson and Bernstein, "SipHash: a fast short-input PRF"). Ids and
 * digests come from a file that may be hostile, and a plain hash lets its author make every look-up a long one.
 */
export function hashWords(words: Uint32Array, start: number, count: number, [k0, k1]: HashSeed): number {
  let v0 = k0 | 0;
  let v1 = k1 | 0;
  let v2 = 0x6c796765 ^ k0;
  let v3 = 0x74656462 ^ k1;
  // The words, the count as the last one, and three rounds to finish.
  for (let at = 0; at <= count + 3; at += 1) {
    const word = at < count ? (words[start + at] ?? 0) | 0 : at === count ? count : 0;
    if (at <= count) v3 ^= word;
    else if (at === count + 1) v2 ^= 0xff;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
  }
  return (v1 ^ v3) >>> 0;
}

/** Tells any change of a single word, and all but one in four billion others: for damage, not for forgery. */
export function checksumOf(words: Uint32Array, start: number, end: number): number {
  let sum = end - start;
  for (let at = start; at < end; at += 1) {
    sum = Math.imul(sum ^ (words[at] ?? 0), 0x01000193);
    sum ^= sum >>> 15;
  }
  return sum >>> 0;
}
