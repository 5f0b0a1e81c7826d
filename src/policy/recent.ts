/** The values last asked for, by name; bounded, and forgetful of what nobody asks for any more. */
export interface Recent<K, V> {
  readonly get: (name: K) => V | undefined;
  readonly set: (name: K, value: V) => void;
}

/** Keeps between `size` and twice as many. As long as there are fewer, `get` is one look-up in a map. */
export function createRecent<K, V>(size: number): Recent<K, V> {
  let young = new Map<K, V>();
  let old = new Map<K, V>();
  const set = (name: K, value: V): void => {
    if (young.size >= size) {
      old = young;
      young = new Map();
    }
    young.set(name, value);
  };
  return {
    get: (name) => {
      const known = young.get(name);
      if (known !== undefined) return known;
      const older = old.get(name);
      if (older !== undefined) set(name, older);
      return older;
    },
    set,
  };
}
