import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { readPages } from "../docs/blocks.ts";
import { findFault } from "../docs/faults.ts";
import { type Runner, runPage } from "../docs/session.ts";
import { createDocker, LABEL } from "./docker.ts";
import { attempt, engineEnv, podman } from "./engine.ts";
import { emulateForeign, type Foreign } from "./foreign.ts";
import { createNetwork, type Network } from "./network.ts";
import { type Registry, startRegistry } from "./registry.ts";

const NAME = "npm run test:image";
// The first run makes a base for another architecture, and builds the image under emulation.
const PATIENCE_MS = 300_000;

const pages = (await readPages()).filter(({ blocks }) =>
  blocks.some(({ treatment }) => treatment.kind === "run by" && treatment.runner === NAME),
);

describe("the commands of the pages that need containers or a port of their own", () => {
  let network: Network;
  let registry: Registry;
  let foreign: Foreign;
  let runner: Runner;

  beforeAll(async () => {
    network = await createNetwork();
    registry = await startRegistry(network);
    foreign = await emulateForeign();
    const docker = createDocker({ registryAddress: registry.address, foreignBase: foreign.base });
    const { CONTAINERS_STORAGE_CONF, CONTAINERS_CONF, BUILDAH_ISOLATION } = engineEnv();
    runner = {
      name: NAME,
      enter: network.enter,
      programs: { docker },
      deadlineMs: PATIENCE_MS,
      env: {
        ...{ CONTAINERS_STORAGE_CONF, CONTAINERS_CONF, BUILDAH_ISOLATION },
        CONTAINERS_REGISTRIES_CONF: registry.configFile,
      },
    };
  }, PATIENCE_MS);
  // The next page needs its ports.
  afterEach(async () => {
    const left = await podman("ps", "--all", "--quiet", "--filter", `label=${LABEL}`);
    for (const id of left.split("\n").filter(Boolean)) await attempt("podman", ["rm", "--force", "--time", "0", id]);
  });
  afterAll(async () => {
    await foreign?.remove();
    await registry?.stop();
    await network?.remove();
  });

  test.for(pages)("those of $path do what is shown", { timeout: PATIENCE_MS }, async (page) => {
    const ran = await runPage(page, runner);
    expect(ran.length).toBeGreaterThan(0);
    expect(ran.flatMap(findFault)).toEqual([]);
  });
});
