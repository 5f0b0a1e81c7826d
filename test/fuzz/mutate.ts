/** Numbers below a bound, the same for the same seed. */
export type Random = (bound: number) => number;

/** Mulberry32: small, fast, and good enough to choose mutations with. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}

export interface Material {
  readonly random: Random;
  /** Inputs that reached something new, to copy from. */
  readonly corpus: readonly string[];
  /** Words that mean something to what is fuzzed. */
  readonly dictionary: readonly string[];
  readonly maxLength: number;
}

type Mutation = (input: string, material: Material) => string;

const MUTATIONS: readonly Mutation[] = [
  (input, { random, dictionary }) => insert(input, random(input.length + 1), pick(dictionary, random)),
  (input, { random, dictionary }) => insert(input, random(input.length + 1), pick(dictionary, random)),
  (input, { random }) => insert(input, random(input.length + 1), oddCharacter(random)),
  (input, material) => replaceSlice(input, material, () => ""),
  (input, material) => replaceSlice(input, material, (slice) => slice + slice),
  (input, material) => replaceSlice(input, material, () => oddCharacter(material.random)),
  (input, material) => replaceSlice(input, material, () => pick(material.dictionary, material.random)),
  (input, material) => replaceSlice(input, material, (slice) => swapCase(slice)),
  (input, material) => replaceSlice(input, material, (slice) => [...slice].reverse().join("")),
  (input, { random, corpus }) => {
    const other = pick(corpus, random);
    return input.slice(0, random(input.length + 1)) + other.slice(random(other.length + 1));
  },
  (input, { random, corpus }) => {
    const other = pick(corpus, random);
    const start = random(other.length + 1);
    return insert(input, random(input.length + 1), other.slice(start, start + 1 + random(40)));
  },
  (input, material) => {
    const line = pick(input.split("\n"), material.random);
    return insert(input, input.indexOf(line), `${line}\n`);
  },
  // Few things cost too much once; most do a thousand times.
  (input, material) => replaceSlice(input, material, (slice) => slice.repeat(1 + material.random(300))),
];

/** A new input from an old one, by one to four changes. */
export function mutate(input: string, material: Material): string {
  let mutated = input;
  for (let left = 1 + material.random(4); left > 0; left -= 1) {
    mutated = pick(MUTATIONS, material.random)(mutated, material);
  }
  return mutated.slice(0, material.maxLength);
}

export function pick<T>(values: readonly T[], random: Random): T {
  const value = values[random(values.length)];
  if (value === undefined) throw new Error("nothing to pick from");
  return value;
}

function insert(input: string, at: number, text: string): string {
  return input.slice(0, at) + text + input.slice(at);
}

function replaceSlice(input: string, { random }: Material, change: (slice: string) => string): string {
  const start = random(input.length + 1);
  const end = start + 1 + random(pick([1, 4, 16, 64], random));
  return input.slice(0, start) + change(input.slice(start, end)) + input.slice(end);
}

function swapCase(text: string): string {
  return text === text.toUpperCase() ? text.toLowerCase() : text.toUpperCase();
}

const ODD = Array.from("\0\t\n\r !\"#$%&'*+,-./:;<=>?@[\\]^_`{|}~\x7f\x80\x85é\u2028\ufeff\uff0e\ud800😀0aZ");

function oddCharacter(random: Random): string {
  return random(4) === 0 ? String.fromCharCode(random(256)) : pick(ODD, random);
}
