/** Time as the data plane sees it; the one real implementation lives in app/. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** Milliseconds that only ever grow, for durations. */
  readonly elapsed: () => number;
  /** The moment as the Date field writes it (RFC 9110 §5.6.7), to the second. */
  readonly httpDate: () => string;
  readonly after: (delayMs: number, task: () => void) => Timer;
  /** Runs the task once this pass of the event loop has dealt with all that came. */
  readonly afterPass: (task: () => void) => void;
}

export interface Timer {
  readonly cancel: () => void;
}
