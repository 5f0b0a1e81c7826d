import { afterEach, expect, test } from "vitest";
import { type AdminBackend, type AdminListener, openAdminListener } from "../../src/admin/admin-listener.ts";

let listener: AdminListener | undefined;
afterEach(() => listener?.close());

const broken = (): never => {
  throw new Error("broken on purpose");
};

/** A backend of which one part breaks. */
const BACKEND: AdminBackend = {
  settings: () => ({
    address: { kind: "tcp", host: "127.0.0.1", port: 0 },
    tokenSha256: undefined,
    probes: new Map([["app", "/"]]),
    authorizer: undefined,
  }),
  readiness: () => ({ ready: true, detail: {} }),
  metrics: async () => ({ contentType: "text/plain", text: "" }),
  jwks: async () => [],
  probe: async () => 200,
  reload: async () => ({ kind: "unchanged" }),
  shadow: async () => ({}),
  drain: { tokenSha256: () => undefined, announce: () => ({}) },
  authorize: () => false,
  maxHeaderBytes: 16_384,
};

/** The status of a path where this part is another. An exception that nobody catches would fail the test's own run. */
async function statusOf(path: string, other: Partial<AdminBackend>): Promise<number> {
  const settings = BACKEND.settings();
  if (settings === undefined) throw new Error("no settings");
  listener = await openAdminListener(settings, { ...BACKEND, ...other });
  const { address } = listener;
  if (address.kind !== "tcp") throw new Error("not a port");
  return (await fetch(`http://127.0.0.1:${address.port}${path}`)).status;
}

test.each<[part: string, path: string, other: Partial<AdminBackend>]>([
  ["the authoriser", "/authorize", { authorize: broken }],
  ["the probe", "/probe/app", { probe: broken }],
  ["readiness", "/readyz", { readiness: broken }],
  ["the metrics", "/metrics", { metrics: () => Promise.reject(new Error("broken on purpose")) }],
  ["a status no HTTP has", "/probe/app", { probe: async () => 0 }],
  ["a line break in a field", "/metrics", { metrics: async () => ({ contentType: "text/plain\r\nx: y", text: "" }) }],
])("answers 500 when %s breaks", async (_, path, other) => {
  expect(await statusOf(path, other)).toBe(500);
});
