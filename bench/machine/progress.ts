const { stderr } = process;
const begunMs = performance.now();

/** One line per step on standard error, so that a long run shows where it is; dimmed on a terminal. */
export function progress(step: string): void {
  const seconds = ((performance.now() - begunMs) / 1000).toFixed(0).padStart(4);
  stderr.write(stderr.isTTY ? `\u001b[2m${seconds} s  ${step}\u001b[22m\n` : `${seconds} s  ${step}\n`);
}
