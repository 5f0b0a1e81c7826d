import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeForeignBase } from "./bases.ts";
import { must, podman } from "./engine.ts";

/** An architecture that is not the builder's, whose programs this machine can run for the time being. */
export interface Foreign {
  readonly platform: "linux/arm64";
  /** The id of a base for the image's last stages. */
  readonly base: string;
  readonly remove: () => Promise<void>;
}

const HANDLERS = "/proc/sys/fs/binfmt_misc";
const HANDLER = "latchkey-tests-aarch64";
const EMULATOR = "/usr/bin/qemu-aarch64-static";
// The head of an ELF file for aarch64, as qemu's own package registers it. `F` opens the emulator now, so that it is
// found from within a container.
const MAGIC = String.raw`\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00`;
const MASK = String.raw`\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff`;

/** Makes a base for arm64, and has the kernel hand programs for it to an emulator. */
export async function emulateForeign(): Promise<Foreign> {
  if ((await podman("info", "--format", "{{.Host.Arch}}")) !== "amd64") throw new Error("this emulates arm64 on amd64");
  const image = await makeForeignBase("arm64");
  const base = await podman("image", "inspect", "--format", "{{.Id}}", image);
  if (!existsSync(join(HANDLERS, "register"))) await must("mount", "-t", "binfmt_misc", "none", HANDLERS);
  // One that a run left behind which was killed does as well.
  if (!existsSync(join(HANDLERS, HANDLER)))
    await writeFile(join(HANDLERS, "register"), `:${HANDLER}:M::${MAGIC}:${MASK}:${EMULATOR}:F`);
  return {
    platform: "linux/arm64",
    base,
    remove: () => writeFile(join(HANDLERS, HANDLER), "-1"),
  };
}
