import type { WantedKey } from "./create-key.ts";
import { createPaint, type Paint } from "./paint.ts";

/** The keys the demo makes at each start, each for one thing to show. */
export const DEMO_KEYS = {
  reader: {
    id: "demo-reader",
    name: "Reads orders",
    tenant: "corner-shop",
    scopes: ["orders:read"],
  },
  writer: {
    id: "demo-writer",
    name: "Writes orders",
    tenant: "corner-shop",
    scopes: ["orders:write"],
  },
  office: {
    id: "demo-office",
    name: "Reads orders from the office network only",
    tenant: "head-office",
    scopes: ["orders:read"],
    // RFC 5737 documentation addresses: nobody calls from there.
    allowIps: ["203.0.113.0/24"],
  },
  slow: {
    id: "demo-slow",
    name: "Reads orders five times a minute",
    tenant: "night-batch",
    scopes: ["orders:read"],
    limits: ["5/minute"],
  },
} as const satisfies Record<string, WantedKey>;

export type DemoKeyName = keyof typeof DEMO_KEYS;

/** Where everything stands, as the reader of the guide would type it. */
export interface DemoPlaces {
  readonly listen: string;
  readonly app: string;
  readonly admin: string;
  readonly configFile: string;
  readonly keysFile: string;
  /** How this program is called, such as `node dist/main.js`. */
  readonly program: string;
  /** Ports that were taken, with the ones used instead. */
  readonly moved: readonly string[];
}

interface Step {
  readonly title: string;
  readonly answer: string;
  readonly command: string;
}

/** The guide a person reads: what runs where, requests to paste, and what to change. */
export function formatGuide(
  places: DemoPlaces,
  credentials: Readonly<Record<DemoKeyName, string>>,
  colour: boolean,
): string {
  const paint = createPaint(colour);
  const steps = toSteps(`http://${places.listen}`, credentials);
  const lines = [
    paint.bold("Latchkey runs in front of a sample app that knows nothing of API keys."),
    "",
    `  Latchkey  http://${places.listen}   as ${places.configFile} says`,
    `  the app   http://${places.app}   demo/app.js, unmodified; on loopback, and still open to this machine`,
    `  admin     http://${places.admin}   /livez /readyz /metrics`,
    ...places.moved.map((text) => paint.yellow(`  ${text}`)),
    "",
    "Paste these into another terminal. Each request shows below as one line of log.",
    "",
    ...steps.flatMap((step, index) => formatStep(step, index + 1, paint)),
    paint.bold("Then change something."),
    "",
    `  Edit ${places.configFile} or ${places.keysFile} and save: the next request is decided by it.`,
    `  In ${places.keysFile}, give ${DEMO_KEYS.reader.id} "orders:write" and repeat 2; or set its status to revoked.`,
    "",
    "  Ask what would become of a request, and which line decides it:",
    `  ${places.program} explain POST /api/v1/orders --key-id ${DEMO_KEYS.reader.id} --config ${places.configFile}`,
    `  ${places.program} explain GET /api/v1/orders --key-id ${DEMO_KEYS.office.id} --address 203.0.113.7 --config ${places.configFile}`,
    "",
    "Ctrl-C stops everything.",
    "",
  ];
  return `${lines.join("\n")}\n`;
}

function formatStep({ title, answer, command }: Step, number: number, paint: Paint): readonly string[] {
  return [`${paint.bold(`${number}. ${title}`)} ${paint.dim("→")} ${answer}`, `   ${command}`, ""];
}

function toSteps(base: string, keys: Readonly<Record<DemoKeyName, string>>): readonly Step[] {
  const orders = `${base}/api/v1/orders`;
  return [
    {
      title: "A key that may read",
      answer: "200, and the app echoes who it was told is calling",
      command: `curl -i -H 'Authorization: Bearer ${keys.reader}' ${orders}`,
    },
    {
      title: "The same key, writing",
      answer: "403 scope_insufficient: it lacks orders:write",
      command: `curl -i -H 'Authorization: Bearer ${keys.reader}' -d '{"item":"rye bread","quantity":2}' ${orders}`,
    },
    {
      title: "A key that may write",
      answer: "201, the order is added",
      command: `curl -i -H 'X-API-Key: ${keys.writer}' -d '{"item":"rye bread","quantity":2}' ${orders}`,
    },
    {
      title: "A key bound to another network",
      answer: "403 address_denied: it may call from 203.0.113.0/24 only",
      command: `curl -i -H 'Authorization: Bearer ${keys.office}' ${orders}`,
    },
    {
      title: "A key with 5 requests a minute, seven times",
      answer: "200 five times, then 429 twice",
      command:
        `for n in 1 2 3 4 5 6 7; do curl -s -o /dev/null -w '%{http_code}\\n' ` +
        `-H 'Authorization: Bearer ${keys.slow}' ${orders}; done`,
    },
    {
      title: "No key",
      answer: "401 credential_missing, with a challenge that says where a key goes",
      command: `curl -i ${orders}`,
    },
    {
      title: "A public route",
      answer: "200 without a key",
      command: `curl -i ${base}/health`,
    },
  ];
}
