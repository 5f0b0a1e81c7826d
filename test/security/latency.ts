import { Agent, request } from "node:http";

/** The 99th percentiles, in milliseconds, of as many requests to each of two ports, sent in turn on one connection each. */
export async function sampleInTurn(
  ports: readonly [number, number],
  credential: string,
  count: number,
): Promise<readonly [number, number]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const samples: readonly [number[], number[]] = [[], []];
  for (let index = 0; index < count; index += 1) {
    for (const [which, port] of ports.entries()) {
      const startedMs = performance.now();
      await ask(port, credential, agent);
      samples[which]?.push(performance.now() - startedMs);
    }
  }
  agent.destroy();
  return [percentile(samples[0], 0.99), percentile(samples[1], 0.99)];
}

/** The least value that this share of the samples does not exceed. */
function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function ask(port: number, credential: string, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${credential}` };
    const asking = request({ host: "127.0.0.1", port, path: "/x", headers, agent }, (response) => {
      response.resume();
      response.on("end", () =>
        response.statusCode === 200 ? resolve() : reject(new Error(`answered ${response.statusCode}`)),
      );
    });
    asking.on("error", reject);
    asking.end();
  });
}
