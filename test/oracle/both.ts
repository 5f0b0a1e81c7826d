import { systemClock } from "../../src/app/clock.ts";
import type { UpstreamSettings } from "../../src/config/settings.ts";
import type { Forwarder, Outcome } from "../../src/proxy/forward.ts";
import { createSocketForwarder } from "../../src/proxy/socket-forwarder.ts";
import { createPolicy } from "../policy/fixture.ts";
import { type Behaviour, Recorder, type Told } from "./recorder.ts";
import type { Heard, Script, ScriptedUpstream } from "./scripted-upstream.ts";
import { createSocketForwarder as createUndiciForwarder } from "./undici-forwarder.ts";

/** What one forwarder made of an exchange, as far as its client and its upstream can tell. */
export interface Result {
  /** `broken`: the client was told 502 or got less than the whole; which of them is a matter of how the bytes came. */
  readonly outcome: string;
  readonly told: Told | undefined;
  readonly heard: readonly Heard[];
}

/** Both forwarders in front of one upstream. */
export interface Both {
  readonly forward: (
    script: Script,
    behaviour: Behaviour,
  ) => Promise<{ readonly ours: Result; readonly theirs: Result }>;
  readonly each: readonly (readonly [
    name: string,
    forward: (script: Script, behaviour: Behaviour) => Promise<Result>,
  ])[];
  readonly destroy: () => Promise<void>;
}

const [route] = createPolicy({ routes: [{ match: "* /**", public: true }], keys: [] }).routes.routes;

export function createBoth(upstream: ScriptedUpstream, limits: Partial<UpstreamSettings>): Both {
  const settings: UpstreamSettings = {
    ...{ origin: upstream.url, socketPath: undefined, ca: undefined, maxConnections: 64, maxQueue: 1000 },
    ...{ connectTimeoutMs: 5_000, responseTimeoutMs: 5_000, idleTimeoutMs: 5_000 },
    ...limits,
  };
  const ours = createSocketForwarder(settings, systemClock);
  const theirs = createUndiciForwarder(settings, systemClock);
  return {
    forward: async (script, behaviour) => {
      const [a, b] = await Promise.all([
        forwardOver(ours, upstream, script, behaviour),
        forwardOver(theirs, upstream, script, behaviour),
      ]);
      return { ours: a, theirs: b };
    },
    each: [
      ["ours", (script, behaviour) => forwardOver(ours, upstream, script, behaviour)],
      ["undici", (script, behaviour) => forwardOver(theirs, upstream, script, behaviour)],
    ],
    destroy: async () => {
      await Promise.all([ours.destroy(), theirs.destroy()]);
    },
  };
}

async function forwardOver(
  forwarder: Forwarder,
  upstream: ScriptedUpstream,
  script: Script,
  behaviour: Behaviour,
): Promise<Result> {
  if (route === undefined) throw new Error("no route");
  const target = upstream.script(script);
  const client = new Recorder(behaviour);
  const outcomes: Outcome[] = [];
  await new Promise<void>((resolve, reject) =>
    forwarder.forward(
      {
        ...{
          permit: { kind: "allow", route, principal: undefined, target: undefined, quotas: [] },
          client,
          target,
          maxBodyBytes: undefined,
        },
        ...{ method: behaviour.method, framing: behaviour.framing },
        additions: { ietf: "X-Added: 1\r\n", legacy: "", requestId: "id" },
        protocol: undefined,
        switched: () => reject(new Error("nobody asked to switch")),
        done: (outcome) => {
          outcomes.push(outcome);
          resolve();
        },
      },
      "Host: a\r\n",
    ),
  );
  // What else it does, it does at once: a second outcome, or a word more to the client.
  await new Promise(setImmediate);
  const [outcome] = outcomes;
  if (outcome === undefined || outcomes.length !== 1) throw new Error(`${outcomes.length} outcomes`);
  const told = client.told();
  const isBroken = outcome.kind === "truncated" || (outcome.kind === "failed" && outcome.reason === "upstream_invalid");
  if (isBroken && told.ending === "whole") throw new Error("what broke off looks whole");
  if (isBroken && (outcome.kind === "truncated") !== (told.ending === "cut"))
    throw new Error("it says not what it did");
  // A request on a connection that the upstream had just closed comes twice, and once by luck.
  const heard = upstream.heardAt(target).slice(-1);
  if (outcome.kind === "answered") return { outcome: `answered ${outcome.status}`, told, heard };
  // How much of it came before is a matter of time.
  const name = isBroken ? "broken" : outcome.kind === "failed" ? outcome.reason : outcome.kind;
  return { outcome: name, told: undefined, heard: outcome.kind === "aborted" ? [] : heard };
}
