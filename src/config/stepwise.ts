/** Work that stops every few milliseconds, for a caller that has others to serve. */
export type Stepwise<T> = Generator<undefined, T>;

/** Does all of it at once. */
export function runThrough<T>(steps: Stepwise<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** Does it a step at a time; `pause` lets the others have their turn. */
export async function runInSlices<T>(steps: Stepwise<T>, pause: () => Promise<unknown>): Promise<T> {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    await pause();
  }
}
