/**
 * The only accesses to memory that threads share, one step each. The interleaving test replaces them by steps at
 * which it may let another thread go on.
 */

export function readWord(words: Int32Array, at: number): number {
  return words[at] ?? 0;
}

export function writeWord(words: Int32Array, at: number, value: number): void {
  words[at] = value;
}

export function readNumber(numbers: Float64Array, at: number): number {
  return numbers[at] ?? 0;
}

export function writeNumber(numbers: Float64Array, at: number, value: number): void {
  numbers[at] = value;
}

/** Sets a word if it is as expected, in one step; says what it was. */
export function swapWord(words: Int32Array, at: number, expected: number, next: number): number {
  return Atomics.compareExchange(words, at, expected, next);
}

/** Sets a word, after which whoever reads it sees all that was written before. */
export function publishWord(words: Int32Array, at: number, value: number): void {
  Atomics.store(words, at, value);
}

/** Lets other threads run while a word stays as it is, for so long at most. */
export function waitWhile(words: Int32Array, at: number, value: number, timeoutMs: number): void {
  Atomics.wait(words, at, value, timeoutMs);
}
