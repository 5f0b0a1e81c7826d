/** One who may stand in a line: in one at a time. The fields are the line's own. */
export interface Waiter<T> {
  ahead: T | undefined;
  behind: T | undefined;
  isWaiting: boolean;
}

/** First come, first served; who waits may leave. Every step takes the same time, however many wait. */
export class WaitingLine<T extends Waiter<T>> {
  #first: T | undefined;
  #last: T | undefined;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Who has waited longest. */
  get first(): T | undefined {
    return this.#first;
  }

  join(waiter: T): void {
    waiter.ahead = this.#last;
    waiter.isWaiting = true;
    if (this.#last === undefined) this.#first = waiter;
    else this.#last.behind = waiter;
    this.#last = waiter;
    this.#length += 1;
  }

  /** Whether it waited. */
  leave(waiter: T): boolean {
    if (!waiter.isWaiting) return false;
    const { ahead, behind } = waiter;
    if (ahead === undefined) this.#first = behind;
    else ahead.behind = behind;
    if (behind === undefined) this.#last = ahead;
    else behind.ahead = ahead;
    // Whoever has left must not keep those who came after: see `Roster`.
    waiter.ahead = undefined;
    waiter.behind = undefined;
    waiter.isWaiting = false;
    this.#length -= 1;
    return true;
  }

  /** Takes out who has waited longest. */
  next(): T | undefined {
    const first = this.#first;
    if (first !== undefined) this.leave(first);
    return first;
  }
}
