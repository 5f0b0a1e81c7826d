import type { Snapshot } from "../../src/config/snapshot.ts";

/** A snapshot of texts that no disk ever held: the main file and its keys files. */
export function snapshotOf(
  main: string,
  keysFiles: Readonly<Record<string, string>> = {},
  more: Partial<Snapshot> = {},
): Snapshot {
  const mainFile = main.trimStart().startsWith("{") ? "latchkey.json" : "latchkey.yaml";
  return {
    mainFile,
    directory: "/etc/latchkey",
    main: { path: mainFile, text: main, mode: 0o644 },
    keysFiles: Object.entries(keysFiles).map(([path, text]) => ({ path, text, mode: 0o600 })),
    referenced: new Map(),
    problems: [],
    watched: [`/etc/latchkey/${mainFile}`],
    digests: new Map(),
    ...more,
  };
}
