import { type AccessChange, diffAccess } from "../config/access-diff.ts";
import type { Diagnostic } from "../config/diagnostics.ts";
import type { Change } from "../config/policy-changes.ts";
import { diffPolicies, type PolicyDiff } from "../config/policy-diff.ts";
import { compareWith, toBasis } from "../config/reload-comparison.ts";
import { judgeRemoval } from "../config/reload-guard.ts";
import type { Configuration } from "../config/settings.ts";
import { diffSettings } from "../config/settings-diff.ts";

/** One of two configs that are compared. */
export interface Side {
  readonly file: string;
  readonly configuration: Configuration;
}

/** All that differs between two configs in meaning. */
export interface Comparison {
  readonly old: Side;
  readonly next: Side;
  readonly same: boolean;
  readonly policy: PolicyDiff;
  /** Settings around the policy. */
  readonly settings: readonly Change[];
  readonly access: readonly AccessChange[];
  /** Why a reload from one to the other would be refused. */
  readonly refusals: readonly Diagnostic[];
}

export function compareConfigs(old: Side, next: Side, nowMs: number): Comparison {
  const [before, after] = [old.configuration.policy, next.configuration.policy];
  const policy = diffPolicies(before, after);
  const settings = diffSettings(old.configuration.settings, next.configuration.settings);
  const isEmpty = Object.values(policy).every(
    (part: unknown) => part === false || (Array.isArray(part) && part.length === 0),
  );
  return {
    old,
    next,
    same: isEmpty && settings.length === 0,
    policy,
    settings,
    access: diffAccess(before, after, nowMs),
    refusals: judgeRemoval(
      compareWith(toBasis(old.configuration), next.configuration).removal,
      next.configuration,
      next.file,
    ),
  };
}
