import { afterAll, expect } from "vitest";
import { EXCEPTIONS } from "./exceptions.ts";
import { findLeaks } from "./leaks.ts";
import { recording } from "./of-this-process.ts";
import { findSecrets } from "./secrets.ts";

// The soak records hundreds of megabytes, which a busy machine needs more than Vitest's ten seconds to search.
const SEARCH_MS = 60_000;

// Hooks of a set-up file run after those of the tests: their programs have ended.
afterAll(() => {
  const file = expect.getState().testPath ?? "";
  const exceptions = EXCEPTIONS.filter((exception) => file.endsWith(exception.file));
  const leaks = findLeaks(recording, findSecrets(recording), exceptions);
  if (leaks.length > 0) throw new Error(`A secret got out:\n${leaks.join("\n")}`);
}, SEARCH_MS);
