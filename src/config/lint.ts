import type { Limit } from "../policy/bucket.ts";
import type { Key } from "../policy/key.ts";
import type { Route } from "../policy/route.ts";
import type { RecordList } from "./compile-keys.ts";
import type { Diagnostic } from "./diagnostics.ts";
import type { Document } from "./document.ts";
import type { Main } from "./schema.ts";

/** What the lint rules look at: a policy that is valid, but perhaps not what was meant. */
export interface LintInput {
  readonly main: Main;
  readonly document: Document;
  readonly lists: readonly RecordList[];
  readonly routes: readonly Route[];
  readonly keys: readonly Key[];
  readonly defaultLimits: readonly Limit[];
  /** Undefined: nothing is said about expiry. */
  readonly nowMs: number | undefined;
}

export function lintPolicy(_input: LintInput, _found: Diagnostic[]): void {}
