/**
 * Ends the process where its Node is older than `needed`, such as `>=24.12`: the program would fail at the first thing that
 * is missing. Itself it does with what any Node has.
 */
export function requireNode(needed: string): void {
  const [major = 0, minor = 0] = numbersIn(process.versions.node);
  const [neededMajor = 0, neededMinor = 0] = numbersIn(needed);
  if (major > neededMajor || (major === neededMajor && minor >= neededMinor)) return;
  process.stderr.write(
    `latchkey: Node ${process.versions.node} is too old: ${neededMajor}.${neededMinor} or later is needed (https://nodejs.org)\n`,
  );
  process.exit(1);
}

function numbersIn(version: string): readonly number[] {
  return Array.from(version.matchAll(/\d+/g), ([text]) => Number(text));
}
