import { Command } from "commander";
import type { ExitCode, Terminal } from "./terminal.ts";

/** `latchkey schema`: the JSON Schema that editors complete and validate by. */
export function schemaCommand(terminal: Terminal, _setExit: (code: ExitCode) => void): Command {
  return new Command("schema")
    .summary("print the JSON Schema of the config, for editors")
    .description("Print the JSON Schema of the config language, generated from the definition that validates it.")
    .option("--keys", "the schema of keys files instead of the main file")
    .addHelpText(
      "after",
      `
Examples:
  latchkey schema > latchkey.schema.json
  and as the first line of latchkey.yaml:
  # yaml-language-server: $schema=./latchkey.schema.json

Exit codes: 0 printed; 2 called wrongly.`,
    )
    .action(async ({ keys }: { readonly keys?: true }) => {
      const { toJsonSchema } = await import("../config/json-schema.ts");
      terminal.out(`${JSON.stringify(toJsonSchema(keys === true ? "keys" : "main"), undefined, 2)}\n`);
    });
}
