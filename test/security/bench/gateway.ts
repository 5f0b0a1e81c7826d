import { systemClock } from "../../../src/app/clock.ts";
import type { LoadResult } from "../../../src/config/load.ts";
import { parseConfiguration } from "../../../src/config/load.ts";
import { createSourceIo, readSnapshot } from "../../../src/config/source.ts";
import { createBucketTable } from "../../../src/policy/bucket-table.ts";
import type { Gateway } from "../../../src/proxy/gateway.ts";
import { createGeneration, type Generation } from "../../../src/proxy/generation.ts";
import { type Listener, openListener } from "../../../src/proxy/listener.ts";
import { createOpenExchanges } from "../../../src/proxy/open-exchanges.ts";
import { createSocketForwarder } from "../../../src/proxy/socket-forwarder.ts";
import type { Tunnel } from "../../../src/proxy/tunnel.ts";
import type { Folder } from "../../e2e/harness.ts";

/** The data plane alone, in this process, so that its parts can be broken. */
export interface Plane {
  readonly port: number;
  readonly close: () => Promise<void>;
}

export async function loadGeneration(folder: Folder, text: string): Promise<Generation> {
  const file = await folder.write("latchkey.yaml", text);
  const loaded: LoadResult = parseConfiguration(await readSnapshot(file, createSourceIo({})));
  if (loaded.kind === "rejected") throw new Error(JSON.stringify(loaded.diagnostics));
  return createGeneration(loaded.configuration);
}

/** Opens the data plane of a generation; `breakPart` may put a faulty part in the place of a good one. */
export async function openPlane(generation: Generation, breakPart: (gateway: Gateway) => Gateway): Promise<Plane> {
  const { listen, upstream } = generation.configuration.settings;
  const forwarder = createSocketForwarder(upstream, systemClock);
  const tunnels = new Set<Tunnel>();
  const gateway = breakPart({
    current: () => generation,
    state: {
      buckets: createBucketTable(),
      failures: createBucketTable(),
      verified: { find: () => undefined },
      slowHashes: { isUnderWay: () => false },
    },
    clock: systemClock,
    verifier: { verify: () => Promise.resolve({ kind: "unmatched" }) },
    forwarder: () => forwarder,
    openExchanges: createOpenExchanges(),
    tunnels,
    keyOperations: { run: () => Promise.reject(new Error("no key operations here")) },
    observer: { record: () => {} },
    shadow: () => undefined,
    isDraining: () => false,
    createRequestId: () => "id-of-the-test",
  });
  const address = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;
  const listener: Listener = await openListener({ ...listen, address }, undefined, gateway, systemClock);
  return {
    port: listener.address.kind === "tcp" ? listener.address.port : 0,
    close: async () => {
      listener.stop();
      for (const tunnel of tunnels) tunnel.destroySoon();
      listener.destroy();
      await forwarder.destroy();
    },
  };
}
