import { describe, expect, test } from "vitest";
import { type Address, compileNetworks, parseAddress } from "../../src/policy/network.ts";
import { findOrigin } from "../../src/proxy/client-address.ts";

const addressOf = (text: string): Address => {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`${text} is no address`);
  return address;
};

const PROXY = { address: addressOf("10.0.0.1"), encrypted: false, inFlight: 0 };
const TRUST = compileNetworks(["10.0.0.0/8"]);
const NOBODY = { address: undefined, scheme: undefined, host: undefined };
const LINES = [
  ...["X-Forwarded-For", "203.0.113.9", "X-Forwarded-Proto", "https"],
  ...["X-Forwarded-Host", "shop.example"],
];

describe("findOrigin()", () => {
  test.for([
    ["nothing", {}, { client: "10.0.0.1", secure: false, host: undefined }],
    ["the address alone", { address: TRUST }, { client: "203.0.113.9", secure: false, host: undefined }],
    ["the scheme alone", { scheme: TRUST }, { client: "10.0.0.1", secure: true, host: undefined }],
    ["the host alone", { host: TRUST }, { client: "10.0.0.1", secure: false, host: "shop.example" }],
    [
      "all three",
      { address: TRUST, scheme: TRUST, host: TRUST },
      { client: "203.0.113.9", secure: true, host: "shop.example" },
    ],
  ] as const)("believes a peer that is trusted in %s of just that", ([, trusted, expected]) => {
    const origin = findOrigin(PROXY, LINES, { ...NOBODY, ...trusted });
    expect({ client: origin.clientAddress.text, secure: origin.secure, host: origin.forwardedHost }).toEqual(expected);
    expect(origin.forwardedFor).toBe("address" in trusted ? "203.0.113.9" : undefined);
  });

  test.for([
    ["https", true],
    ["HTTPS", true],
    ["wss", true],
    ["http, wss", true],
    ["http", false],
    ["ws", false],
    ["wss, ws", false],
    ["ftp", false],
    ["", false],
  ] as const)("knows a WebSocket's scheme for what it is over: %s", ([scheme, secure]) => {
    const lines = ["X-Forwarded-Proto", scheme];
    expect(findOrigin(PROXY, lines, { ...NOBODY, scheme: TRUST }).secure).toBe(secure);
    // What says nothing of http is as if it were not there.
    const over = findOrigin({ ...PROXY, encrypted: true }, lines, { ...NOBODY, scheme: TRUST });
    expect(over.secure).toBe(!["http", "ws"].includes(scheme.split(", ").at(-1) ?? ""));
  });

  test.each(["", ",", " , "])("takes a list of no addresses for none: %j", (list) => {
    const origin = findOrigin(PROXY, ["X-Forwarded-For", list], { ...NOBODY, address: TRUST });
    expect(origin).toMatchObject({ clientAddress: PROXY.address, forwardedFor: undefined });
  });

  test("does not take who is trusted in the scheme for a hop on the way to the client", () => {
    const trusted = { ...NOBODY, address: compileNetworks(["10.0.0.1"]), scheme: TRUST };
    const origin = findOrigin(PROXY, ["X-Forwarded-For", "203.0.113.9, 10.0.0.2"], trusted);
    expect(origin.clientAddress.text).toBe("10.0.0.2");
  });

  test("takes the peer's address where an entry on the way is none", () => {
    const trusted = { ...NOBODY, address: TRUST };
    for (const list of ["203.0.113.9, unknown", "unknown", "", "203.0.113.9,", "_hidden, 10.0.0.2"]) {
      expect(findOrigin(PROXY, ["X-Forwarded-For", list], trusted).clientAddress.text).toBe("10.0.0.1");
    }
  });
});
