import { describe, expect, test } from "vitest";
import type { Diagnostic } from "../../src/config/diagnostics.ts";
import {
  createPolicyStore,
  type Loaded,
  type PolicyStoreOptions,
  type Rejected,
} from "../../src/config/policy-store.ts";

interface Fake {
  readonly policy: { readonly revision: string };
}

const BAD: Diagnostic = { severity: "error", file: "a.yaml", line: 1, column: 1, path: "", message: "Bad" };
const REJECTED: Loaded<Fake> | Rejected = {
  kind: "rejected",
  diagnostics: [BAD],
  files: ["bad.yaml"],
  digests: new Map(),
};

function revision(name: string): Fake {
  return { policy: { revision: name } };
}

function loaded(name: string): Loaded<Fake> | Rejected {
  return { kind: "loaded", configuration: revision(name), warnings: [], files: [`${name}.yaml`], digests: new Map() };
}

/** A store over loads that the test ends one by one, and a record of what it reported. */
function createFixture(options: Partial<PolicyStoreOptions<Fake>> = {}) {
  const pending: PromiseWithResolvers<Loaded<Fake> | Rejected>[] = [];
  const reports: string[] = [];
  let nowMs = 1000;
  const store = createPolicyStore<Fake>({
    load: () => {
      const load = Promise.withResolvers<Loaded<Fake> | Rejected>();
      pending.push(load);
      return load.promise;
    },
    initial: revision("one"),
    nowMs: () => nowMs++,
    onSwap: async (next, previous) => {
      reports.push(`${previous.policy.revision} to ${next.configuration.policy.revision} from ${next.files}`);
    },
    onReject: ({ diagnostics }) => reports.push(diagnostics.map(({ message }) => message).join()),
    ...options,
  });
  const finish = (index: number, outcome: Loaded<Fake> | Rejected) => pending[index]?.resolve(outcome);
  return { store, reports, pending, finish };
}

describe("reload()", () => {
  test("reload() swaps in a new revision and reports it after the swap", async () => {
    const { store, reports, finish } = createFixture();
    expect(store.lastReload).toBeUndefined();
    const reload = store.reload();
    finish(0, loaded("two"));
    expect(store.current.policy.revision).toBe("one");
    expect(await reload).toEqual({ kind: "swapped", revision: "two", previous: "one" });
    expect(store.current.policy.revision).toBe("two");
    expect(reports).toEqual(["one to two from two.yaml"]);
    expect(store.lastReload).toEqual({ atMs: 1000, outcome: await reload });
  });

  test("reload() keeps the last good configuration when the new one is rejected", async () => {
    const { store, reports, finish } = createFixture();
    const held = store.current;
    const reload = store.reload();
    finish(0, REJECTED);
    expect(await reload).toEqual({ kind: "rejected", diagnostics: [BAD] });
    expect(store.current).toBe(held);
    expect(reports).toEqual(["Bad"]);
    expect(store.lastReload?.outcome.kind).toBe("rejected");
  });

  test("reload() recovers with the next good configuration", async () => {
    const { store, finish } = createFixture();
    const bad = store.reload();
    finish(0, REJECTED);
    await bad;
    const good = store.reload();
    finish(1, loaded("two"));
    expect((await good).kind).toBe("swapped");
    expect(store.current.policy.revision).toBe("two");
  });

  test("reload() keeps the object in force when the content is the same", async () => {
    const { store, reports, finish } = createFixture();
    const held = store.current;
    const reload = store.reload();
    finish(0, loaded("one"));
    expect(await reload).toEqual({ kind: "unchanged" });
    expect(store.current).toBe(held);
    expect(reports).toEqual([]);
  });

  test("reload() takes an exception of the loader for a rejection", async () => {
    const { store, reports } = createFixture({ load: () => Promise.reject(new Error("EIO")) });
    expect((await store.reload()).kind).toBe("rejected");
    expect(store.current.policy.revision).toBe("one");
    expect(reports).toEqual(["the reload failed: EIO"]);
  });

  test("reload() lets a guard refuse a configuration that is valid by itself", async () => {
    const { store, reports, finish } = createFixture({
      guard: async (next, current) => [
        { ...BAD, message: `${current.policy.revision} to ${next.configuration.policy.revision}` },
      ],
    });
    const reload = store.reload();
    finish(0, loaded("two"));
    expect((await reload).kind).toBe("rejected");
    expect(store.current.policy.revision).toBe("one");
    expect(reports).toEqual(["one to two"]);
  });

  test("reload() runs one load at a time, and one more for all who asked meanwhile", async () => {
    const { store, pending, finish } = createFixture();
    const first = store.reload();
    // Asked for between the end of the first load and the start of the second, it still joins the second.
    const between = first.then(() => store.reload());
    const second = store.reload();
    expect(store.reload()).toBe(second);
    expect(pending.length).toBe(1);
    finish(0, loaded("two"));
    await first;
    while (pending.length < 2) await Promise.resolve();
    finish(1, loaded("three"));
    expect(await second).toEqual({ kind: "swapped", revision: "three", previous: "two" });
    expect(await between).toEqual(await second);
    expect(pending.length).toBe(2);
    const last = store.reload();
    expect(pending.length).toBe(3);
    finish(2, loaded("three"));
    expect((await last).kind).toBe("unchanged");
  });

  test("reload() can be asked for again after a report threw", async () => {
    const { store, finish, pending } = createFixture({
      onSwap: () => {
        throw new Error("report");
      },
    });
    const first = store.reload();
    const second = store.reload();
    finish(0, loaded("two"));
    await expect(first).rejects.toThrow("report");
    while (pending.length < 2) await Promise.resolve();
    finish(1, loaded("two"));
    expect((await second).kind).toBe("unchanged");
  });
});
