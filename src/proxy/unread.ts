const NOTHING = Buffer.alloc(0);

/** A range of a buffer. */
export interface Part {
  readonly buffer: Buffer;
  readonly from: number;
  readonly to: number;
  /** Whether the buffer is another's, who will read into it again. */
  readonly isBorrowed: boolean;
}

const NO_PART: Part = { buffer: NOTHING, from: 0, to: 0, isBorrowed: false };

/** What a client has sent and nobody has taken up yet. */
export class Unread implements Part {
  buffer: Buffer = NOTHING;
  from = 0;
  to = 0;
  isBorrowed = false;

  get length(): number {
    return this.to - this.from;
  }

  /** Takes in what was read into a buffer from its beginning on; it is good until `keep`. */
  add(buffer: Buffer, length: number): void {
    if (this.length === 0) {
      this.#set(buffer, 0, length, true);
    } else {
      const joined = Buffer.concat([this.buffer.subarray(this.from, this.to), buffer.subarray(0, length)]);
      this.#set(joined, 0, joined.length, false);
    }
  }

  /** Makes what is left its own. */
  keep(): void {
    if (this.length === 0) this.clear();
    else if (this.isBorrowed) this.#set(copyPart(this, this.from, this.to), 0, this.length, false);
  }

  /** Everything before a place in the buffer was taken up. */
  advance(to: number): void {
    this.from = to;
  }

  clear(): void {
    this.#set(NOTHING, 0, 0, false);
  }

  /** Gives all there is, and forgets it. */
  take(): Part {
    if (this.length === 0) return NO_PART;
    const { buffer, from, to, isBorrowed } = this;
    this.clear();
    return { buffer, from, to, isBorrowed };
  }

  /** Takes back what was left over of a part, from a place in its buffer on. */
  putBack({ buffer, to, isBorrowed }: Part, from: number): void {
    this.#set(buffer, from, to, isBorrowed);
  }

  #set(buffer: Buffer, from: number, to: number, isBorrowed: boolean): void {
    this.buffer = buffer;
    this.from = from;
    this.to = to;
    this.isBorrowed = isBorrowed;
  }
}

/** A range of a part's buffer, as bytes that may be kept. */
export function copyPart({ buffer, isBorrowed }: Part, from: number, to: number): Buffer {
  const range = buffer.subarray(from, to);
  return isBorrowed ? Buffer.from(range) : range;
}
