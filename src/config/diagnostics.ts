/** One finding about a config, precise enough to act on without opening the documentation. */
export interface Diagnostic {
  readonly severity: "error" | "warning";
  /** As the user named it; a flag or environment variable stands here under its own name. */
  readonly file: string;
  /** Both count from 1; both are 0 where the whole file, or no file, is meant. */
  readonly line: number;
  readonly column: number;
  /** Such as `routes[2].scopes[0]`; empty for the whole file. */
  readonly path: string;
  /** What is wrong and what was expected. Never holds a secret. */
  readonly message: string;
  /** What to write instead, such as the nearest real name. */
  readonly fix?: string;
}
