import { readFile } from "node:fs/promises";
import { toExpected, undoWrite, writeFileAtomically } from "../config/atomic-write.ts";
import { type Issued, issueSuccessor, type SlowHash } from "../config/issue-key.ts";
import { nextKeyId } from "../config/key-id.ts";
import { appendKey, changeKey, type EditResult, type KeysFileKind, readKeyFields } from "../config/keys-file.ts";
import type { KeyFields } from "../config/keys-text.ts";
import type { ReloadOutcome } from "../config/policy-store.ts";
import type { KeyOperation } from "../config/settings.ts";
import type { Key } from "../policy/key.ts";
import type { Policy } from "../policy/policy.ts";
import { grantsScope } from "../policy/scope.ts";
import type { KeyOperations, OperationResult } from "../proxy/manage.ts";

export interface KeyOperationsOptions {
  readonly policy: () => Policy;
  readonly slowHash: SlowHash;
  /** The wall clock, in milliseconds. */
  readonly now: () => number;
  readonly reload: () => Promise<ReloadOutcome>;
}

/** An edit of a keys file, and what its asker is told once it is in force. */
interface Plan {
  readonly edit: EditResult;
  readonly body: Readonly<Record<string, string>>;
}

type Planner = (text: string, fileKind: KeysFileKind) => Plan;

// A file that somebody else is editing meanwhile is read anew; more often than this nobody saves.
const MAX_ATTEMPTS = 3;

/**
 * Changes keys in the file they came from, comments and order kept, one operation at a time. The answer
 * is given after the reload, so a key that was replaced or revoked is refused from the next request on.
 * What is refused leaves the file as it was: nobody is told of a change that would come into force later.
 */
export function createKeyOperations(options: KeyOperationsOptions): KeyOperations {
  let last: Promise<unknown> = Promise.resolve();
  return {
    run: (operation, id, caller) => {
      const result = last.then(() => run(operation, id, caller, options));
      last = result.catch(() => {});
      return result;
    },
  };
}

async function run(
  operation: KeyOperation,
  id: string,
  caller: Key,
  options: KeyOperationsOptions,
): Promise<OperationResult> {
  const early = judge(operation, id, caller, options);
  if ("kind" in early) return early;
  // Files that do not load as they are would not with the change in them either, and others may read them too.
  if ((await options.reload()).kind === "rejected")
    return refuse("keys_not_writable", "the files do not load; see the log");
  const found = judge(operation, id, caller, options);
  if ("kind" in found) return found;
  const { key, policy } = found;
  const planner = await choosePlanner(operation, key, policy, options.slowHash);
  if (typeof planner === "string") return refuse("key_conflict", planner);
  return change(key.source.file, planner, options);
}

type Refusal = Extract<OperationResult, { kind: "refused" }>;

/** The key and the policy it is of, where the caller may have this done to it and its state allows it. */
function judge(
  operation: KeyOperation,
  id: string,
  caller: Key,
  { policy: current, now }: KeyOperationsOptions,
): { readonly key: Key; readonly policy: Policy } | Refusal {
  const policy = current();
  const key = policy.keys.findById(id);
  // Keys of other tenants do not exist for the caller.
  if (key === undefined || (caller.tenant !== undefined && caller.tenant !== key.tenant)) {
    return refuse("key_not_found", `no key "${id}" for the caller`);
  }
  const beyond = operation === "rotate" ? key.scopes.filter((scope) => !grantsScope(caller.grants, scope)) : [];
  // The new key's text goes to the caller, who must not gain by it what its own key lacks.
  if (beyond.length > 0)
    return { ...refuse("scope_insufficient", "the key may do more than the caller"), scopes: beyond };
  const conflict = findConflict(operation, key, now());
  return conflict === undefined ? { key, policy } : refuse("key_conflict", conflict);
}

async function change(file: string, planner: Planner, { reload }: KeyOperationsOptions): Promise<OperationResult> {
  const fileKind = file.toLowerCase().endsWith(".json") ? "json" : "yaml";
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    const bytes = await readFile(file).catch((error: Error) => error);
    if (bytes instanceof Error) return refuse("keys_not_writable", bytes.message);
    const plan = planner(bytes.toString("utf8"), fileKind);
    if (plan.edit.kind === "refused") return refuse("keys_not_writable", plan.edit.problem);
    const written = await writeFileAtomically(file, plan.edit.text, toExpected(bytes));
    if (written.kind === "changed") continue;
    if (written.kind === "failed") return refuse("keys_not_writable", written.problem);
    if ((await reload()).kind !== "rejected") return { kind: "done", body: plan.body };
    const left = await undoWrite(written, bytes);
    const outcome = left === undefined ? "was taken back; see the log" : `${written.path} may still hold: ${left}`;
    return refuse("keys_not_writable", `the files do not load with the change, which ${outcome}`);
  }
  return refuse("key_conflict", "the keys file keeps changing under the edit");
}

function refuse(reason: Refusal["reason"], detail: string) {
  return { kind: "refused", reason, detail, scopes: [] } as const;
}

function findConflict(operation: KeyOperation, key: Key, nowMs: number): string | undefined {
  if (key.status === "revoked") return "the key is revoked, which is final";
  if (operation === "rotate" && key.expiresAtMs !== undefined && key.expiresAtMs <= nowMs) {
    return "the key has expired, and so would the one in its place: change its expiresAt first, or create another";
  }
  return operation === "resume" && key.status === "active" ? "the key is not suspended" : undefined;
}

/** What to write is worked out from the file as it is found; the rest, once. A text says why it cannot be done. */
async function choosePlanner(
  operation: KeyOperation,
  key: Key,
  policy: Policy,
  slowHash: SlowHash,
): Promise<Planner | string> {
  switch (operation) {
    case "rotate":
      return planSuccession(key, policy, slowHash);
    case "revoke":
      return planStatus(key, "revoked");
    case "suspend":
      return planStatus(key, "suspended");
    case "resume":
      return planStatus(key, "active");
    default:
      return operation satisfies never;
  }
}

async function planSuccession(key: Key, policy: Policy, slowHash: SlowHash): Promise<Planner | string> {
  const succession = await issueSuccessor(key, policy, slowHash);
  if (succession.kind === "issued") {
    const next = nextKeyId(key.id, (id) => policy.keys.findById(id) !== undefined);
    return planRotation(key, next, succession.issued);
  }
  const { name, values } = succession.segment;
  return `the record does not tell the key's ${name} (${values.join(" or ")}): give it the prefix its key begins with`;
}

function planStatus({ id }: Key, status: Key["status"]): Planner {
  return (text, fileKind) => ({ edit: changeKey(text, fileKind, id, { status }), body: { id, status } });
}

/** The successor takes over all of the record, a suspension too. */
function planRotation(key: Key, id: string, { credential, hash, prefix }: Issued): Planner {
  return (text, fileKind) => {
    const { rotatedTo: _, ...kept }: KeyFields = readKeyFields(text, fileKind, key.id) ?? {};
    const revoked = changeKey(text, fileKind, key.id, { status: "revoked", rotatedTo: id });
    const edit = revoked.kind === "edited" ? appendKey(revoked.text, fileKind, { ...kept, id, hash, prefix }) : revoked;
    return { edit, body: { id, key: credential, prefix, rotatedFrom: key.id } };
  };
}
