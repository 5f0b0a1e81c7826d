/** Time as the data plane sees it; the one real implementation lives in app/. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** Milliseconds that only ever grow, for durations. */
  readonly elapsed: () => number;
  readonly after: (delayMs: number, task: () => void) => Timer;
}

export interface Timer {
  readonly cancel: () => void;
}
