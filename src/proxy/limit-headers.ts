import type { LimitHeaders } from "../config/settings.ts";
import type { FieldText } from "../http1/fields.ts";
import type { Quota } from "../policy/bucket.ts";

/** Fields that report quotas. */
export interface LimitFields {
  /** Our own items only: the upstream's lines of that name are list members too, and stay. */
  readonly ietf: FieldText;
  readonly legacy: FieldText;
}

const NO_FIELDS: LimitFields = { ietf: "", legacy: "" };

/** The fields that report quotas (draft-ietf-httpapi-ratelimit-headers-10 §3, and those that were there before). */
export function toLimitFields(quotas: readonly Quota[], style: LimitHeaders, nowMs: number): LimitFields {
  const closest = findClosest(quotas);
  if (closest === undefined) return NO_FIELDS;
  return {
    ietf: style.ietf
      ? `RateLimit-Policy: ${toList(quotas, toPolicyItem)}\r\nRateLimit: ${toList(quotas, toLimitItem)}\r\n`
      : "",
    legacy: style.legacy === "off" ? "" : toLegacyFields(closest, style.legacy, nowMs),
  };
}

function toLegacyFields(
  { limit, remaining, fullSeconds }: Quota,
  style: Exclude<LimitHeaders["legacy"], "off">,
  nowMs: number,
): FieldText {
  const reset = style === "epoch" ? Math.ceil(nowMs / 1000) + fullSeconds : fullSeconds;
  return `X-RateLimit-Limit: ${limit.capacity}\r\nX-RateLimit-Remaining: ${remaining}\r\nX-RateLimit-Reset: ${reset}\r\n`;
}

/** The legacy fields hold one limit: the one that will refuse first. */
function findClosest(quotas: readonly Quota[]): Quota | undefined {
  let closest = quotas[0];
  for (const quota of quotas) if (closest === undefined || quota.remaining < closest.remaining) closest = quota;
  return closest;
}

function toList(quotas: readonly Quota[], toItem: (quota: Quota) => string): string {
  let list = "";
  for (const quota of quotas) list += list === "" ? toItem(quota) : `, ${toItem(quota)}`;
  return list;
}

const POLICY_ITEMS = new WeakMap<Quota["limit"], string>();

/** Of a limit always the same, as long as it is in force. */
function toPolicyItem({ limit }: Quota): string {
  let item = POLICY_ITEMS.get(limit);
  if (item === undefined) {
    item = `"${limit.name}";q=${limit.capacity};w=${Math.max(1, Math.round(limit.windowMs / 1000))}`;
    POLICY_ITEMS.set(limit, item);
  }
  return item;
}

function toLimitItem({ limit, remaining, nextSeconds }: Quota): string {
  return `"${limit.name}";r=${remaining};t=${nextSeconds}`;
}
