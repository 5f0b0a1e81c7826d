import { execFile } from "node:child_process";
import { chmod, cp, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { createFolder, PROGRAM } from "../e2e/harness.ts";
import { type Block, type Page, ROOT, type Treatment } from "./blocks.ts";

/** What became of one command of a page. */
export interface Ran {
  readonly at: string;
  readonly text: string;
  readonly expected: string | undefined;
  readonly code: number;
  readonly output: string;
}

interface Step {
  readonly at: string;
  readonly text: string;
  readonly shell: string;
  readonly expected: string | undefined;
}

// The programs that change something outside the folder. A block that is printed has functions of these names, that
// write their command line; in any other they are not found, so that a new block needs a word on how it is treated.
const OUTSIDE = ["docker", "helm", "kubectl", "kind"];
// In a copy of the checkout these can do no harm, anywhere else they would look for one.
const OF_A_CHECKOUT = ["git", "npm", "npx"];

// `serve` goes on in the background on free ports, once it says that it is ready: a page's next command needs it so.
const LATCHKEY = `#!/usr/bin/env bash
if [ "$1" != serve ]; then exec "${process.execPath}" "${PROGRAM}" "$@"; fi
log=$(mktemp "$SESSION/serve-XXXXXX")
"${process.execPath}" "${PROGRAM}" "$@" --listen 127.0.0.1:0 --admin 127.0.0.1:0 >"$log" 2>&1 &
echo $! >>"$SESSION/started"
grep -m 1 '"msg":"ready"' < <(exec tail --pid=$! -n +1 -f "$log")
`;

/** What another runner has that the test of all pages has not. */
export interface Runner {
  /** What blocks call it, that it runs besides. */
  readonly name: string;
  /** The command that brings another one into its network. */
  readonly enter: readonly string[];
  /** Programs by their names, as scripts. */
  readonly programs: Readonly<Record<string, string>>;
  readonly env: NodeJS.ProcessEnv;
  readonly deadlineMs: number;
}

const ALONE: Runner = { name: "", enter: [], programs: {}, env: {}, deadlineMs: 60_000 };

/**
 * Runs the blocks of a page from its first to its last, as one reader in one shell would, in an empty folder where
 * `latchkey` is the built program.
 */
export async function runPage(page: Page, runner: Runner = ALONE): Promise<readonly Ran[]> {
  const folder = await createFolder();
  try {
    const session = join(folder.path, "session");
    const work = join(folder.path, "work");
    await Promise.all([mkdir(session), mkdir(work), mkdir(join(folder.path, "bin"))]);
    for (const [name, script] of Object.entries({ ...runner.programs, latchkey: LATCHKEY })) {
      await writeFile(join(folder.path, "bin", name), script);
      await chmod(join(folder.path, "bin", name), 0o755);
    }
    const blocks = page.blocks.filter(({ treatment }) => isRun(treatment, runner));
    const inCheckout = blocks.some(({ before }) => before?.includes("cd ../checkout"));
    if (inCheckout) await copyCheckout(join(folder.path, "checkout"));
    const guarded = (inCheckout ? OUTSIDE : [...OUTSIDE, ...OF_A_CHECKOUT]).filter(
      (name) => !(name in runner.programs),
    );
    const steps = blocks.flatMap((block) => stepsOf(page, block));
    const script = await folder.write("session.sh", scriptOf(steps, guarded));
    const [command = "bash", ...rest] = [...runner.enter, "bash", script];
    await promisify(execFile)(command, rest, {
      cwd: work,
      timeout: runner.deadlineMs,
      env: {
        ...runner.env,
        PATH: [join(folder.path, "bin"), dirname(process.execPath), process.env["PATH"] ?? ""].join(":"),
        HOME: folder.path,
        REPOSITORY: ROOT,
        SESSION: session,
        NO_COLOR: "1",
        npm_config_update_notifier: "false",
        LC_ALL: "C.UTF-8",
      },
    });
    return await Promise.all(steps.map((step, index) => readRan(session, step, index)));
  } finally {
    await folder.remove();
  }
}

/** Whether a block is run here, if only printed. */
export function isRun(treatment: Treatment, { name }: Pick<Runner, "name"> = ALONE): boolean {
  return treatment.kind !== "run by" || treatment.runner === name;
}

function stepsOf({ path }: Page, { line, before, afterwards, treatment, commands }: Block): readonly Step[] {
  const hidden = (when: string, text: string | undefined) =>
    text === undefined ? [] : [{ at: `${path}:${line}, ${when}`, text, shell: text, expected: undefined }];
  const shown = commands.map((command) => ({
    at: `${path}:${command.line}`,
    text: command.text,
    expected: command.output,
  }));
  return [
    ...hidden("before", before),
    ...shown.map((step) => ({ ...step, shell: treatment.kind === "printed" ? printing(step.text) : step.text })),
    ...hidden("afterwards", afterwards),
  ];
}

function printing(shell: string): string {
  const stubs = [...OUTSIDE, ...OF_A_CHECKOUT].map((name) => `${name}() { echo "${name} $*"; }`);
  return `( ${stubs.join("; ")}\n${shell}\n)`;
}

/** All in one shell, so that a folder or a variable of one command is there for the next. */
function scriptOf(steps: readonly Step[], guarded: readonly string[]): string {
  const guards = guarded.map(
    (name) => `${name}() { echo "${name} is not run by this test; name another above the block" >&2; return 127; }\n`,
  );
  const runs = steps.map(
    ({ shell }, index) =>
      `{\n${shell}\n} >"$SESSION/${index}.out" 2>&1 </dev/null\necho $? >"$SESSION/${index}.code"\n`,
  );
  const ending = `touch "$SESSION/started"\ntrap 'xargs -r kill <"$SESSION/started"' EXIT\n`;
  return [...guards, ending, ...runs].join("");
}

async function readRan(session: string, { at, text, expected }: Step, index: number): Promise<Ran> {
  const [output, code] = await Promise.all([
    readFile(join(session, `${index}.out`), "utf8"),
    readFile(join(session, `${index}.code`), "utf8"),
  ]);
  return { at, text, expected, code: Number(code), output };
}

/** What a clone holds, with the packages that are installed already. */
async function copyCheckout(to: string): Promise<void> {
  const listed = await promisify(execFile)("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    cwd: ROOT,
    maxBuffer: 16 * 1024 ** 2,
  });
  const folders = new Set(listed.stdout.split("\0").flatMap((file) => (file === "" ? [] : [file.split("/")[0] ?? ""])));
  await mkdir(to);
  for (const name of folders) await cp(join(ROOT, name), join(to, name), { recursive: true });
  await symlink(join(ROOT, "node_modules"), join(to, "node_modules"));
}
