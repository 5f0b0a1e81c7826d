import { writeFileSync } from "node:fs";
import { toCommandReference } from "./command-reference.ts";
import { toFieldReference } from "./field-reference.ts";
import { toRequestFlowDiagram } from "./request-flow-diagram.ts";

// Writes the pages that are checked in; a test compares them with the program.
writeFileSync(new URL("../docs/reference.md", import.meta.url), toFieldReference());
writeFileSync(new URL("../docs/cli-reference.md", import.meta.url), toCommandReference());
writeFileSync(new URL("../docs/request-flow.svg", import.meta.url), toRequestFlowDiagram());
