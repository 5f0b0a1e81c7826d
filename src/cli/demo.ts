import { Command } from "commander";
import { EXIT, type ExitCode, type Terminal } from "./terminal.ts";

/** `latchkey demo`: a real app behind a real Latchkey, and requests to try on it. */
export function demoCommand(terminal: Terminal, setExit: (code: ExitCode) => void): Command {
  return new Command("demo")
    .summary("see it at work: a sample app, keys, and requests to paste")
    .description(
      "Start a small app that knows nothing of keys, put Latchkey in front of it with config/latchkey.yaml and fresh keys, " +
        "and print requests to paste with what each is answered. Everything listens on loopback; Ctrl-C stops it all.",
    )
    .addHelpText(
      "after",
      `
Ports are 8080 (Latchkey), 3000 (the app) and 9090 (admin), or the next free ones.
config/demo-keys.yaml is written anew at each start.

Exit codes: 0 stopped as asked; 1 it could not start; 2 called wrongly.`,
    )
    .action(async () => {
      const { runDemo } = await import("./run-demo.ts");
      setExit((await runDemo(terminal)) ? EXIT.ok : EXIT.failed);
    });
}
