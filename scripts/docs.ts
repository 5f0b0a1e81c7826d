import { writeFileSync } from "node:fs";
import { toCommandReference } from "./command-reference.ts";
import { toFieldReference } from "./field-reference.ts";

// Writes the pages that are checked in; a test compares them with the program.
writeFileSync(new URL("../docs/reference.md", import.meta.url), toFieldReference());
writeFileSync(new URL("../docs/cli-reference.md", import.meta.url), toCommandReference());
