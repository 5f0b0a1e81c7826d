import type { KeyTable } from "../policy/key.ts";
import type { Policy } from "../policy/policy.ts";
import {
  describeKeys,
  diffKeys,
  diffRules,
  joinDescriptions,
  type KeysDescription,
  numberRoutes,
} from "./policy-diff.ts";
import { type Removal, toRemoval } from "./reload-guard.ts";

/** What a new policy is compared with. Plain data: the thread that loads has the time to compare. */
export interface Basis {
  readonly keys: KeyTable;
  readonly routes: readonly string[];
}

/** What can be told of the keys of two policies in little space, and what the guard must know. */
export interface Comparison {
  readonly keys: KeysDescription;
  readonly removal: Removal;
}

export function toBasis({ keys, routes }: Policy): Basis {
  return { keys: keys.table, routes: [...numberRoutes(routes.routes).keys()] };
}

export function compareWith(basis: Basis, next: Policy): Comparison {
  const diff = diffKeys(basis.keys, next.keys.table);
  const after = toBasis(next);
  const { keysRemoved } = diff;
  const keyCount = next.keys.size + keysRemoved.length - diff.keysAdded.length;
  const removal = toRemoval({ keyCount, keysRemoved, oldRoutes: basis.routes, nextRoutes: after.routes });
  return { keys: describeKeys(diff), removal };
}

/** One sentence for each change from one policy to another whose keys were compared already. */
export function describeComparison({ keys }: Comparison, old: Policy, next: Policy): readonly string[] {
  return joinDescriptions(keys, diffRules(old, next));
}
