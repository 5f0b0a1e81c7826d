import { describe, expect, test } from "vitest";
import { parseConfiguration } from "../../src/config/load.ts";
import { describeChanges } from "../../src/config/policy-diff.ts";
import { diffSettings } from "../../src/config/settings-diff.ts";
import { snapshotOf } from "./snapshot-of.ts";

const UPSTREAM = "upstream: http://127.0.0.1:3000";
const DIGEST = `sha256:${"ab".repeat(32)}`;

function settingsOf(more: string) {
  const main = `${more.includes("upstream:") ? "" : UPSTREAM}\nkeys: []\n${more}\n`;
  const loaded = parseConfiguration(snapshotOf(main));
  if (loaded.kind === "rejected") throw new Error(JSON.stringify(loaded.diagnostics));
  return loaded.configuration.settings;
}

const describeBetween = (old: string, next: string) => describeChanges(diffSettings(settingsOf(old), settingsOf(next)));

describe("diffSettings()", () => {
  test.each([
    [
      "listen: { trustedProxies: 10.0.0.0/8, maxBody: 10MiB, timeouts: { idle: 90s } }",
      [
        "listen.trustedProxies.address set to 10.0.0.0/8",
        "listen.trustedProxies.scheme set to 10.0.0.0/8",
        "listen.trustedProxies.host set to 10.0.0.0/8",
        "listen.timeouts.idle changed from 65s to 90s",
        "listen.maxBody set to 10485760 bytes",
      ],
    ],
    [
      "upstream: { url: unix:/run/app.sock, timeouts: { connect: 250ms }, maxQueue: 7 }",
      [
        "upstream.url changed from http://127.0.0.1:3000 to unix:/run/app.sock",
        "upstream.timeouts.connect changed from 2s to 250ms",
        "upstream.maxQueue changed from 1024 to 7",
      ],
    ],
    ["admin: off", ["admin.address removed, was 127.0.0.1:9090"]],
    [
      `admin: { token: ${DIGEST}, probes: { app: /healthz }, authorizer: 10.0.3.0/24 }`,
      [
        "admin.token set to a value not shown",
        "admin.authorizer.trustedPeers set to 10.0.3.0/24",
        "admin.probes.app set to /healthz",
      ],
    ],
    [
      "identity: { headers: { X-Id: '{key.id}', X-Proof: hush-hush } }",
      [
        "identity.headers.X-Latchkey-Key-Id removed, was a value not shown",
        "identity.headers.X-Latchkey-Key-Name removed, was a value not shown",
        "identity.headers.X-Latchkey-Tenant removed, was a value not shown",
        "identity.headers.X-Latchkey-Scopes removed, was a value not shown",
        "identity.headers.X-Latchkey-Environment removed, was a value not shown",
        "identity.headers.X-Latchkey-Region removed, was a value not shown",
        "identity.headers.X-Id set to a value not shown",
        "identity.headers.X-Proof set to a value not shown",
      ],
    ],
    [
      "denials: { body: flat, realm: shop, reasons: { rate_limited: { status: 420 } } }",
      [
        "denials.body replaced",
        "denials.realm changed from api to shop",
        "denials.reasons.rate_limited set to a value not shown",
      ],
    ],
    [
      "log: { level: warn, requests: denied }",
      ["log.level changed from info to warn", "log.requests changed from all to denied"],
    ],
    [
      `drain: { delay: 5s, token: ${DIGEST} }`,
      ["drain.delay changed from 0s to 5s", "drain.token set to a value not shown"],
    ],
    ["reload: { maxRemoved: 10% }", ["reload.maxRemoved changed from 50% to 10%"]],
    ["workers: 2", ["workers changed from 1 to 2"]],
    ["shadow: candidate.yaml", ["shadow set to /etc/latchkey/candidate.yaml"]],
    ["limits: { headers: legacy-epoch }", ["limits.headers changed from ietf, legacy seconds to legacy epoch"]],
    ["management: { path: /keys, scopes: { revoke: r } }", ["management set to revoke"]],
  ])("names what %s changes", (next, changes) => {
    expect(describeBetween("", next)).toEqual(changes);
  });

  test("says that a secret was replaced, and not by what", () => {
    const of = (digest: string) => `admin: { token: "sha256:${digest.repeat(32)}" }`;
    expect(describeBetween(of("ab"), of("cd"))).toEqual(["admin.token replaced"]);
  });

  test("is silent where only the spelling differs", () => {
    expect(describeBetween("listen: 8080", "listen: { address: '0.0.0.0:8080' }")).toEqual([]);
  });
});
