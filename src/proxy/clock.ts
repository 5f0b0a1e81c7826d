/** Time as the data plane sees it; the one real implementation lives in app/. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** Milliseconds that only ever grow, for durations. */
  readonly elapsed: () => number;
  /** The moment as the Date field writes it (RFC 9110 §5.6.7), to the second. */
  readonly httpDate: () => string;
  readonly after: (delayMs: number, task: () => void) => Timer;
}

export interface Timer {
  readonly cancel: () => void;
}
