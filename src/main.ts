#!/usr/bin/env node
import { runProgram } from "./cli/program.ts";
import { EXIT, type Terminal } from "./cli/terminal.ts";

const terminal: Terminal = {
  env: process.env,
  cwd: process.cwd(),
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  interactive: process.stdin.isTTY && process.stdout.isTTY,
  // https://no-color.org: set to anything, it means no.
  colour: process.stdout.isTTY && (process.env["NO_COLOR"] ?? "") === "",
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

// A reader that has seen enough, such as head, is no failure of ours.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

process.exitCode = EXIT.ok;
// Not awaited: the parts of the built program are functions, in which nothing can be at the top level.
void runProgram(process.argv.slice(2), terminal, (code) => {
  process.exitCode = code;
});
