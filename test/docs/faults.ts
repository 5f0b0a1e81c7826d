import type { Ran } from "./session.ts";

/** What is wrong with a command that ran: its exit code, or what it wrote. Empty when it did what the page shows. */
export function findFault({ at, text, expected, code, output }: Ran): readonly string[] {
  const told = `${at}: ${text}\n${output}`;
  if (expected === undefined) return code === 0 ? [] : [`exit code ${code}: ${told}`];
  // The shell's own codes: not found, not executable. Others are those of a refusal that the page shows.
  if (code === 126 || code === 127) return [`exit code ${code}: ${told}`];
  return toPattern(expected).test(withoutChance(output)) ? [] : [`not what the page shows: ${told}`];
}

/** What a page shows, with `…` for whatever may stand there. */
function toPattern(shown: string): RegExp {
  const escaped = RegExp.escape(withoutChance(shown.trimEnd()).replaceAll(/^ *…$/gm, "…"));
  return new RegExp(`^${escaped.replaceAll(/(?<=^|\\n)…(?=\\n|$)/g, "[^]*?").replaceAll("…", ".*")}\\s*$`);
}

/** Digests, keys, ids and times are new each time. */
function withoutChance(text: string): string {
  return text
    .replaceAll(/sha256:[0-9a-f]{64}/g, "sha256:0")
    .replaceAll(/(?<=revision |→ )[0-9a-f]{12}\b/g, "0")
    .replaceAll(/\$2b\$10\$[./A-Za-z0-9]{53}/g, "bcrypt")
    .replaceAll(/\b\d{4}-\d\d-\d\dT[\d:.]+Z( \(\d+ m?s? ago\))?/g, "an instant")
    .replaceAll(/\blk_[A-Za-z0-9]{4}\b/g, "lk_0000");
}
