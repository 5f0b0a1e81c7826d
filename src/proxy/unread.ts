const NOTHING = Buffer.alloc(0);

/** A range of a buffer. */
export interface Part {
  readonly buffer: Buffer;
  readonly from: number;
  readonly to: number;
}

/** What a client has sent and nobody has taken up yet. */
export class Unread implements Part {
  buffer: Buffer = NOTHING;
  from = 0;
  to = 0;
  /** Whether the buffer is another's, who will read into it again. */
  #isBorrowed = false;

  get length(): number {
    return this.to - this.from;
  }

  /** Takes in what was read into a buffer from its beginning on; it is good until `keep`. */
  add(buffer: Buffer, length: number): void {
    if (this.length === 0) {
      this.#set(buffer, 0, length);
      this.#isBorrowed = true;
    } else {
      const joined = Buffer.concat([this.buffer.subarray(this.from, this.to), buffer.subarray(0, length)]);
      this.#set(joined, 0, joined.length);
      this.#isBorrowed = false;
    }
  }

  /** Makes what is left its own. */
  keep(): void {
    if (this.length === 0) this.clear();
    else if (this.#isBorrowed) this.#set(Buffer.from(this.buffer.subarray(this.from, this.to)), 0, this.length);
    this.#isBorrowed = false;
  }

  /** Everything before a place in the buffer was taken up. */
  advance(to: number): void {
    this.from = to;
  }

  clear(): void {
    this.#set(NOTHING, 0, 0);
  }

  /** Gives all there is, which is good until `keep`, and forgets it. */
  take(): Part {
    const { buffer, from, to } = this;
    this.clear();
    return { buffer, from, to };
  }

  /** Takes back what was left over of a part, from a place in its buffer on. */
  putBack({ buffer, to }: Part, from: number): void {
    this.#set(buffer, from, to);
  }

  #set(buffer: Buffer, from: number, to: number): void {
    this.buffer = buffer;
    this.from = from;
    this.to = to;
  }
}
