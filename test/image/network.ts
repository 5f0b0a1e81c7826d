import { must } from "./engine.ts";

/** A network of its own, with nothing in it but loopback: every port is free, and nobody else hears. */
export interface Network {
  /** The command that brings another one into it. */
  readonly enter: readonly [command: string, ...args: readonly string[]];
  readonly remove: () => Promise<void>;
}

export async function createNetwork(): Promise<Network> {
  const name = `latchkey-alone-${process.pid}`;
  await must("ip", "netns", "add", name);
  await must("ip", "-n", name, "link", "set", "lo", "up");
  return {
    // Not `ip netns exec`, which mounts another /sys, without the control groups that containers need.
    enter: ["nsenter", `--net=/run/netns/${name}`],
    remove: async () => {
      await must("ip", "netns", "delete", name);
    },
  };
}
