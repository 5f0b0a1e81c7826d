/** Something that becomes true once, in all threads of the process at the same moment. */
export interface Flag {
  readonly isRaised: () => boolean;
  readonly raise: () => void;
  /** For another thread, which makes its own view of it. */
  readonly memory: SharedArrayBuffer;
}

export function createFlag(memory = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)): Flag {
  const cell = new Int32Array(memory);
  return {
    isRaised: () => Atomics.load(cell, 0) !== 0,
    raise: () => {
      Atomics.store(cell, 0, 1);
    },
    memory,
  };
}
