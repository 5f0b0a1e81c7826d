#!/usr/bin/env node
import { getSystemErrorMessage } from "node:util";
import { endStart, withDefaultFlags } from "./app/engine.ts";
import { createCommandLine, runCommandLine } from "./cli/command-line.ts";
import { serveCommand } from "./cli/serve.ts";
import { EXIT, type ExitCode, type Terminal } from "./cli/terminal.ts";

// Loads modules of Node's, which ones depends on what it is.
const stdout = withDefaultFlags(() => process.stdout);

// The error of which somebody who waited for it will speak.
let told: Error | null | undefined;
let isCutShort = false;

const terminal: Terminal = {
  env: process.env,
  cwd: process.cwd(),
  out: (text) => void stdout.write(text),
  deliver: (text) =>
    new Promise((resolve) => {
      stdout.write(text, (error) => {
        told = error;
        resolve(error ? describe(error) : undefined);
      });
    }),
  err: (text) => void process.stderr.write(text),
  get interactive() {
    return process.stdin.isTTY && stdout.isTTY;
  },
  // https://no-color.org: set to anything, it means no.
  colour: stdout.isTTY && (process.env["NO_COLOR"] ?? "") === "",
  ask: async (question) => {
    // Loaded where somebody is asked, which few commands do.
    const { createInterface } = await import("node:readline/promises");
    const lines = createInterface({ input: process.stdin, output: process.stderr });
    try {
      return await lines.question(question);
    } finally {
      lines.close();
    }
  },
  readInput: async () => {
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk));
    return Buffer.concat(chunks).toString("utf8");
  },
  onStop: (stop) => {
    process.on("SIGTERM", stop);
    process.on("SIGINT", stop);
  },
  onExit: (flush) => void process.on("exit", flush),
  onHangUp: (hangUp) => void process.on("SIGHUP", hangUp),
};

stdout.on("error", (error: NodeJS.ErrnoException) => {
  // A reader that has seen enough, such as head, is no failure of ours.
  if (error.code === "EPIPE" || error === told) return;
  process.stderr.write(`latchkey: ${describe(error)}\n`);
  isCutShort = true;
  process.exitCode = EXIT.failed;
});

process.exitCode = EXIT.ok;
const setExit = (code: ExitCode): void => {
  process.exitCode = isCutShort ? EXIT.failed : code;
};
// Not awaited: the parts of the built program are functions, in which nothing can be at the top level.
void run(process.argv.slice(2));

async function run(argv: readonly string[]): Promise<void> {
  // What serves stays, so that it loads nothing of the other commands.
  if (argv[0] === "serve") {
    await runCommandLine(createCommandLine([serveCommand], terminal, setExit), argv);
  } else {
    endStart();
    const { runProgram } = await import("./cli/program.ts");
    await runProgram(argv, terminal, setExit);
  }
}

function describe(error: NodeJS.ErrnoException): string {
  const reason = error.errno === undefined ? error.message : getSystemErrorMessage(error.errno);
  return `standard output cannot be written: ${reason}`;
}
