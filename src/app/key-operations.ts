import { readFile } from "node:fs/promises";
import { toExpected, writeFileAtomically } from "../config/atomic-write.ts";
import { issueSuccessor, type SlowHash } from "../config/issue-key.ts";
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
  readonly reload: () => Promise<ReloadOutcome>;
}

/** An edit of a keys file, and what its asker is told once it is in force. */
interface Plan {
  readonly edit: EditResult;
  readonly body: Readonly<Record<string, string>>;
}

// A file that somebody else is editing meanwhile is read anew; more often than this nobody saves.
const MAX_ATTEMPTS = 3;

/**
 * Changes keys in the file they came from, comments and order kept, one operation at a time. The answer
 * is given after the reload, so a key that was replaced or revoked is refused from the next request on.
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
  const policy = options.policy();
  const key = policy.keys.findById(id);
  // Keys of other tenants do not exist for the caller.
  if (key === undefined || (caller.tenant !== undefined && caller.tenant !== key.tenant)) {
    return refuse("key_not_found", `no key "${id}" for the caller`);
  }
  const beyond = operation === "rotate" ? key.scopes.filter((scope) => !grantsScope(caller.grants, scope)) : [];
  // The new key's text goes to the caller, who must not gain by it what its own key lacks.
  if (beyond.length > 0)
    return { ...refuse("scope_insufficient", "the key may do more than the caller"), scopes: beyond };
  const conflict = findConflict(operation, key);
  if (conflict !== undefined) return refuse("key_conflict", conflict);

  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    const bytes = await readFile(key.source.file).catch((error: Error) => error);
    if (bytes instanceof Error) return refuse("keys_not_writable", bytes.message);
    const plan = await planEdit(operation, key, bytes.toString("utf8"), policy, options.slowHash);
    if (plan.edit.kind === "refused") return refuse("keys_not_writable", plan.edit.problem);
    const written = await writeFileAtomically(key.source.file, plan.edit.text, toExpected(bytes));
    if (written.kind === "changed") continue;
    if (written.kind === "failed") return refuse("keys_not_writable", written.problem);
    const outcome = await options.reload();
    if (outcome.kind === "rejected") return refuse("keys_not_writable", "the files no longer load; see the log");
    return { kind: "done", body: plan.body };
  }
  return refuse("key_conflict", "the keys file keeps changing under the edit");
}

function refuse(reason: Extract<OperationResult, { kind: "refused" }>["reason"], detail: string) {
  return { kind: "refused", reason, detail, scopes: [] } as const;
}

function findConflict(operation: KeyOperation, key: Key): string | undefined {
  if (key.status === "revoked") return "the key is revoked, which is final";
  return operation === "resume" && key.status === "active" ? "the key is not suspended" : undefined;
}

async function planEdit(
  operation: KeyOperation,
  key: Key,
  text: string,
  policy: Policy,
  slowHash: SlowHash,
): Promise<Plan> {
  const fileKind = key.source.file.toLowerCase().endsWith(".json") ? "json" : "yaml";
  switch (operation) {
    case "rotate":
      return planRotation(key, text, fileKind, policy, slowHash);
    case "revoke":
      return planStatus(key, text, fileKind, "revoked");
    case "suspend":
      return planStatus(key, text, fileKind, "suspended");
    case "resume":
      return planStatus(key, text, fileKind, "active");
    default:
      return operation satisfies never;
  }
}

function planStatus(key: Key, text: string, fileKind: KeysFileKind, status: Key["status"]): Plan {
  return { edit: changeKey(text, fileKind, key.id, { status }), body: { id: key.id, status } };
}

async function planRotation(
  key: Key,
  text: string,
  fileKind: KeysFileKind,
  policy: Policy,
  slowHash: SlowHash,
): Promise<Plan> {
  const { credential, hash, prefix } = await issueSuccessor(key, policy, slowHash);
  const id = nextId(key.id, policy);
  const { status: _, rotatedTo: __, ...kept }: KeyFields = readKeyFields(text, fileKind, key.id) ?? {};
  const revoked = changeKey(text, fileKind, key.id, { status: "revoked", rotatedTo: id });
  const edit = revoked.kind === "edited" ? appendKey(revoked.text, fileKind, { ...kept, id, hash, prefix }) : revoked;
  return { edit, body: { id, key: credential, prefix, rotatedFrom: key.id } };
}

/** `pos` becomes `pos-2`, `pos-2` becomes `pos-3`: the first such id that is free. */
function nextId(id: string, policy: Policy): string {
  const [, stem = id, number = "1"] = /^(.*?)(?:-(\d{1,6}))?$/.exec(id) ?? [];
  let next = Number(number) + 1;
  while (policy.keys.findById(`${stem}-${next}`) !== undefined) next += 1;
  return `${stem}-${next}`;
}
