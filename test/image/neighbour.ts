import { must } from "./engine.ts";

// From the block for documentation and tests of RFC 5737: nobody's own.
const POD_ADDRESS = "192.0.2.2";
const NEIGHBOUR_ADDRESS = "192.0.2.1";

/** Another host on the pod's network: a network namespace of its own, joined to the pod's by a cable. */
export interface Neighbour {
  /** Where it finds the pod. */
  readonly podAddress: string;
  /** Runs a command there. */
  readonly run: (command: string, ...args: readonly string[]) => Promise<string>;
  readonly remove: () => Promise<void>;
}

export async function joinNeighbour(podPid: number, name = `latchkey-${process.pid}`): Promise<Neighbour> {
  const inPod = ["nsenter", "--target", String(podPid), "--net"] as const;
  await must("ip", "netns", "add", name);
  await must(
    "ip",
    "link",
    "add",
    "cable0",
    "netns",
    name,
    "type",
    "veth",
    "peer",
    "name",
    "cable1",
    "netns",
    String(podPid),
  );
  await must("ip", "-n", name, "address", "add", `${NEIGHBOUR_ADDRESS}/30`, "dev", "cable0");
  await must("ip", "-n", name, "link", "set", "cable0", "up");
  await must(...inPod, "ip", "address", "add", `${POD_ADDRESS}/30`, "dev", "cable1");
  await must(...inPod, "ip", "link", "set", "cable1", "up");
  return {
    podAddress: POD_ADDRESS,
    run: (command, ...args) => must("ip", "netns", "exec", name, command, ...args),
    remove: async () => {
      // The cable goes with it.
      await must("ip", "netns", "delete", name);
    },
  };
}
