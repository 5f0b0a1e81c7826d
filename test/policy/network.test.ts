import { isIPv6 } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compileNetworks, parseAddress, parseNetwork } from "../../src/policy/network.ts";

const octets = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255));
const groups = fc.array(fc.nat(0xffff), { minLength: 8, maxLength: 8 });

function toNumber(parts: readonly number[]): number {
  return parts.reduce((sum, part) => sum * 256 + part, 0);
}

describe("parseAddress()", () => {
  test("parseAddress() takes every spelling of a mapped IPv4 address for that IPv4 address", () => {
    fc.assert(
      fc.property(octets, (parts) => {
        const plain = parseAddress(parts.join("."));
        const hex = [(parts[0] << 8) | parts[1], (parts[2] << 8) | parts[3]].map((part) => part.toString(16)).join(":");
        expect(plain).toEqual({ text: parts.join("."), family: "ipv4", neighbourhood: parts.join(".") });
        for (const prefix of ["::ffff:", "::FFFF:", "0:0:0:0:0:ffff:", "0000:0000:0000:0000:0000:ffff:"]) {
          expect(parseAddress(prefix + parts.join("."))).toEqual(plain);
          expect(parseAddress(prefix + hex)).toEqual(plain);
        }
      }),
    );
  });

  test("parseAddress() gives every spelling of an IPv6 address one text", () => {
    fc.assert(
      fc.property(groups, (parts) => {
        const address = parseAddress(parts.map((part) => part.toString(16)).join(":"));
        expect(parseAddress(parts.map((part) => part.toString(16).padStart(4, "0").toUpperCase()).join(":"))).toEqual(
          address,
        );
        expect(parseAddress(address?.text ?? "")).toEqual(address);
      }),
    );
  });

  test("parseAddress() makes neighbours of two IPv6 addresses exactly when their first 64 bits are the same", () => {
    fc.assert(
      fc.property(groups, groups, fc.nat(7), (first, second, shared) => {
        const mixed = [...first.slice(0, shared), ...second.slice(shared)];
        const [a, b] = [first, mixed].map((parts) => parseAddress(parts.map((part) => part.toString(16)).join(":")));
        if (a?.family !== "ipv6" || b?.family !== "ipv6") return;
        const same = first.slice(0, 4).join() === mixed.slice(0, 4).join();
        expect(a.neighbourhood === b.neighbourhood).toBe(same);
        expect(parseNetwork(a.neighbourhood)).toBeDefined();
        expect(compileNetworks([a.neighbourhood]).contains(b)).toBe(same);
      }),
    );
  });

  const refused: readonly string[] = [
    "",
    " ",
    "127.0.0.1 ",
    " 127.0.0.1",
    "127.0.0.1\n",
    "0x7f.1",
    "0x7f.0.0.1",
    "0x7f000001",
    "010.0.0.1",
    "127.0.0.01",
    "127.1",
    "2130706433",
    "1..2.3",
    "1.2.3.256",
    "1.2.3.4.5",
    "1.2.3.4%eth0",
    "+1.2.3.4",
    "1.2.3.4:80",
    "[::1]",
    "[::1]:80",
    "::1:",
    ":::",
    "1::2::3",
    "::12345",
    "::ffff:010.0.0.1",
    "::ffff:0x7f.0.0.1",
    "::ffff:1.2.3",
    "::ffff:1.2.3.256",
    "fe80::1%",
    "fe80::1%eth0%eth1",
    "fe80::1%25/64",
    "localhost",
    "unknown",
    "١.٢.٣.٤",
  ];
  test.each(refused)("parseAddress() refuses %j", (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  test("parseAddress() drops the zone of a link-local address, which names an interface and no host", () => {
    expect(parseAddress("fe80::1%eth0")).toEqual(parseAddress("fe80::1"));
    expect(parseAddress("fe80::1%2")?.text).toBe("fe80::1");
  });

  test("parseAddress() accepts nothing the operating system's own parser refuses", () => {
    const alphabet = fc.constantFrom(..."0123456789abcdefx:.:.%/ -");
    fc.assert(
      fc.property(fc.string({ unit: alphabet, maxLength: 24 }), (text) => {
        const address = parseAddress(text);
        if (address === undefined) return;
        expect(text.includes(":") ? isIPv6(text) : text === address.text).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("compileNetworks()", () => {
  test("contains() agrees with comparing the first bits, in IPv4, mapped or not", () => {
    fc.assert(
      fc.property(octets, octets, fc.nat(32), fc.nat(32), (network, other, prefix, shared) => {
        const size = 2 ** (32 - prefix);
        // An address that has `shared` bits in common with the network is inside about half of the time.
        const keep = 2 ** (32 - shared);
        const number = Math.floor(toNumber(network) / keep) * keep + (toNumber(other) % keep);
        const text = [24, 16, 8, 0].map((bits) => Math.floor(number / 2 ** bits) % 256).join(".");
        const inside = Math.floor(number / size) === Math.floor(toNumber(network) / size);
        const written = network.join(".");
        for (const range of [`${written}/${prefix}`, `::ffff:${written}/${prefix + 96}`]) {
          for (const spelling of [text, `::ffff:${text}`]) {
            const address = parseAddress(spelling);
            expect(address !== undefined && compileNetworks([range]).contains(address)).toBe(inside);
          }
        }
      }),
    );
  });

  test("contains() agrees with comparing the first bits in IPv6", () => {
    const toBits = (parts: readonly number[]) => parts.map((part) => part.toString(2).padStart(16, "0")).join("");
    const toText = (bits: string) =>
      bits
        .match(/.{16}/g)
        ?.map((part) => Number.parseInt(part, 2).toString(16))
        .join(":");
    fc.assert(
      fc.property(groups, groups, fc.nat(128), fc.nat(128), (network, other, prefix, shared) => {
        const bits = toBits(network).slice(0, shared) + toBits(other).slice(shared);
        const [base, address] = [parseAddress(toText(toBits(network)) ?? ""), parseAddress(toText(bits) ?? "")];
        if (base?.family !== "ipv6" || address?.family !== "ipv6") return;
        const inside = bits.slice(0, prefix) === toBits(network).slice(0, prefix);
        expect(compileNetworks([`${base.text}/${prefix}`]).contains(address)).toBe(inside);
      }),
    );
  });

  test("contains() keeps the families apart and knows a lone address", () => {
    const [v4, v6] = [parseAddress("10.0.0.1"), parseAddress("2001:db8::1")];
    if (v4 === undefined || v6 === undefined) throw new Error("unparsed");
    expect(compileNetworks(["::/0"]).contains(v4)).toBe(false);
    expect(compileNetworks(["0.0.0.0/0"]).contains(v6)).toBe(false);
    expect(compileNetworks(["10.0.0.1"]).contains(v4)).toBe(true);
    expect(compileNetworks(["10.0.0.2", "2001:db8::1"]).contains(v6)).toBe(true);
    expect(compileNetworks([]).contains(v4)).toBe(false);
  });

  const refused: readonly string[] = [
    "",
    "/8",
    "10.0.0.0/",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/08",
    "10.0.0.0/8/8",
    "10.0.0.0/ 8",
    "10.0.0.0/255.0.0.0",
    "10.0.0/8",
    "10.0.0.0%eth0/8",
    "::/129",
    "::ffff:10.0.0.0/8",
    "::ffff:0:0/95",
    "*",
  ];
  test.each(refused)("parseNetwork() refuses %j", (text) => {
    expect(parseNetwork(text)).toBeUndefined();
    const address = parseAddress("10.0.0.1");
    expect(address !== undefined && compileNetworks([text]).contains(address)).toBe(false);
  });
});
