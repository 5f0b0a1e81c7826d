/** What a command may touch of the process around it; only main.ts makes a real one. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly out: (text: string) => void;
  /** Writes what must not be lost to standard output and waits until it is written; why it could not be, where it could not. */
  readonly deliver: (text: string) => Promise<string | undefined>;
  readonly err: (text: string) => void;
  /** Whether a person reads standard output; colour and questions depend on it. */
  readonly interactive: boolean;
  readonly colour: boolean;
  /** One line typed by a person. Only where `interactive`. */
  readonly ask: (question: string) => Promise<string>;
  /** All of standard input, as text. For what must not stand on a command line, such as a key. */
  readonly readInput: () => Promise<string>;
  /** Called once the process is asked to stop, with the signal's name. */
  readonly onStop: (stop: (signal: string) => void) => void;
  /** Called at each SIGHUP. */
  readonly onHangUp: (hangUp: () => void) => void;
  /** Called, synchronously, when the process ends for whatever reason. */
  readonly onExit: (flush: () => void) => void;
}

/** Exit codes, the same for every command. */
export const EXIT = {
  ok: 0,
  /** The command ran and the answer is no: a config with errors, a refused request, an unhealthy process. */
  failed: 1,
  /** The command was called wrongly. */
  usage: 2,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
