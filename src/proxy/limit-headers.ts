import type { LimitHeaders } from "../config/settings.ts";
import type { Quota } from "../policy/bucket.ts";

/**
 * Header lines that report quotas. Our own items only: the upstream's `RateLimit` lines are list
 * members and stay (draft-ietf-httpapi-ratelimit-headers-10 §3).
 */
export function toLimitHeaders(quotas: readonly Quota[], style: LimitHeaders, nowMs: number): readonly string[] {
  const closest = findClosest(quotas);
  if (closest === undefined) return [];
  const headers: string[] = [];
  if (style.ietf) {
    headers.push("RateLimit-Policy", toList(quotas, toPolicyItem));
    headers.push("RateLimit", toList(quotas, toLimitItem));
  }
  if (style.legacy !== "off") {
    const reset = style.legacy === "epoch" ? Math.ceil(nowMs / 1000) + closest.fullSeconds : closest.fullSeconds;
    headers.push("X-RateLimit-Limit", String(closest.limit.capacity));
    headers.push("X-RateLimit-Remaining", String(closest.remaining));
    headers.push("X-RateLimit-Reset", String(reset));
  }
  return headers;
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
