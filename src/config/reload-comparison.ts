import type { KeyDigest } from "../policy/digest.ts";
import type { KeyTable } from "../policy/key.ts";
import type { Policy } from "../policy/policy.ts";
import {
  describeKeys,
  diffKeys,
  diffRules,
  joinDescriptions,
  type KeysDescription,
  type KeysDiff,
  numberRoutes,
} from "./policy-diff.ts";
import { type Removal, type Replaced, toRemoval } from "./reload-guard.ts";
import type { Configuration } from "./settings.ts";
import { writtenRoutes } from "./written-routes.ts";

/** What a new policy is compared with. Plain data: the thread that loads has the time to compare. */
export interface Basis {
  readonly keys: KeyTable;
  /** Those that stand in the file. */
  readonly routes: readonly string[];
}

/** What can be told of the keys of two policies in little space, and what the guard must know. */
export interface Comparison {
  readonly keys: KeysDescription;
  readonly removal: Removal;
}

export function toBasis(configuration: Configuration): Basis {
  const routes = numberRoutes(writtenRoutes(configuration));
  return { keys: configuration.policy.keys.table, routes: [...routes.keys()] };
}

export function compareWith(basis: Basis, next: Configuration): Comparison {
  const { keys } = next.policy;
  const diff = diffKeys(basis.keys, keys.table);
  const { keysRemoved } = diff;
  const keyCount = keys.size + keysRemoved.length - diff.keysAdded.length;
  const keysReplaced = findReplaced(diff, next.policy);
  const nextRoutes = toBasis(next).routes;
  const removal = toRemoval({ keyCount, keysRemoved, keysReplaced, oldRoutes: basis.routes, nextRoutes });
  return { keys: describeKeys(diff), removal };
}

function findReplaced({ keysChanged }: KeysDiff, { keys }: Policy): readonly Replaced[] {
  return keysChanged.flatMap(({ id, changes }) => {
    const isReplaced = changes.some((change) => change.kind === "replaced" && change.field === "hash");
    const key = isReplaced ? keys.findById(id) : undefined;
    return key === undefined || key.status === "revoked" ? [] : [{ id, digest: toText(key.digest) }];
  });
}

function toText(digest: KeyDigest): string {
  return digest.kind === "bcrypt" ? digest.text : `${digest.kind}:${digest.hex}`;
}

/** One sentence for each change from one policy to another whose keys were compared already. */
export function describeComparison({ keys }: Comparison, old: Policy, next: Policy): readonly string[] {
  return joinDescriptions(keys, diffRules(old, next));
}
