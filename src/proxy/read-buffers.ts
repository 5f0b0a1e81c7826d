const READ_BYTES = 64 * 1024;

/** Bytes of all plain connections are read into here, but for those of large bodies: what is here is to be copied. */
export const READ_BUFFER: Buffer = Buffer.allocUnsafeSlow(READ_BYTES);

// A read of so much is one of many in a body: copying each would cost more than a buffer of its own.
const LARGE_READ_BYTES = 16 * 1024;
// Buffers that are kept for the next body, a megabyte of them.
const MAX_SPARE = 16;
const spare: Buffer[] = [];

/** Where the next bytes of one socket are read into: the buffer that all share, or one of its own. */
export class ReadBuffers {
  #current: Buffer = READ_BUFFER;
  #isLarge = false;

  /** So much was read into the buffer last given. */
  filled(bytes: number): void {
    this.#isLarge = bytes >= LARGE_READ_BYTES;
  }

  /** Somebody goes on using the buffer last given, which must not be `READ_BUFFER`: it is not read into again. */
  giveAway(): void {
    this.#current = READ_BUFFER;
  }

  next(): Buffer {
    const isOwn = this.#current !== READ_BUFFER;
    if (isOwn === this.#isLarge) return this.#current;
    if (isOwn && spare.length < MAX_SPARE) spare.push(this.#current);
    this.#current = this.#isLarge ? (spare.pop() ?? Buffer.allocUnsafeSlow(READ_BYTES)) : READ_BUFFER;
    return this.#current;
  }
}
