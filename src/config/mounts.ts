import type { Diagnostic } from "./diagnostics.ts";

/**
 * The mount points in the text of `/proc/self/mountinfo`, unescaped (proc_pid_mountinfo(5): the fifth field,
 * with space, tab, newline and backslash in octal).
 */
export function parseMountPoints(text: string): ReadonlySet<string> {
  const points = text.split("\n").flatMap((line) => line.split(" ", 5)[4] ?? []);
  return new Set(points.map((point) => point.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => toCharacter(octal))));
}

function toCharacter(octal: string): string {
  return String.fromCharCode(Number.parseInt(octal, 8));
}

/** Warns of files that are mounts of their own: such a mount stays with the file it began with. */
export function warnOfFileMounts(files: readonly string[], mountPoints: ReadonlySet<string>): readonly Diagnostic[] {
  return files
    .filter((file) => mountPoints.has(file))
    .map((file) => ({
      severity: "warning",
      file,
      line: 0,
      column: 0,
      path: "",
      message:
        "The file is a mount of its own (subPath, or a bind mount of a single file), so a new file put in its place, as " +
        "the kubelet and most editors do, is never seen here",
      fix: "Mount the directory that holds it, in Kubernetes without subPath",
    }));
}
