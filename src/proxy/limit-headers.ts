import type { LimitHeaders } from "../config/settings.ts";
import type { FieldText } from "../http1/fields.ts";
import { toOneString } from "../http1/kept-text.ts";
import type { Limit, Quota } from "../policy/bucket.ts";

/** Fields that report quotas. */
export interface LimitFields {
  /** Our own items only: the upstream's lines of that name are list members too, and stay. */
  readonly ietf: FieldText;
  readonly legacy: FieldText;
}

const NO_FIELDS: LimitFields = { ietf: "", legacy: "" };

/** The fields that report quotas (draft-ietf-httpapi-ratelimit-headers-10 §3, and those that were there before). */
export function toLimitFields(quotas: readonly Quota[], style: LimitHeaders, now: () => number): LimitFields {
  if (quotas.length === 0) return NO_FIELDS;
  const wording = wordingOf(quotas);
  return {
    ietf: style.ietf ? toIetfFields(quotas, wording) : "",
    legacy: style.legacy === "off" ? "" : toLegacyFields(quotas, wording, style.legacy, now),
  };
}

function toIetfFields(quotas: readonly Quota[], { items }: Wording): FieldText {
  let text = "";
  for (let index = 0; index < quotas.length; index += 1) {
    const quota = quotas[index];
    if (quota !== undefined) text = `${text}${items[index]}${quota.remaining}${secondsOf(quota.nextSeconds)}`;
  }
  return `${text}\r\n`;
}

/** The legacy fields hold one limit: the one that will refuse first. */
function toLegacyFields(
  quotas: readonly Quota[],
  { legacy }: Wording,
  style: Exclude<LimitHeaders["legacy"], "off">,
  now: () => number,
): FieldText {
  let [closest] = quotas;
  let text = legacy[0];
  for (let index = 1; index < quotas.length; index += 1) {
    const quota = quotas[index];
    if (quota === undefined || closest === undefined || quota.remaining >= closest.remaining) continue;
    closest = quota;
    text = legacy[index];
  }
  if (closest === undefined) return "";
  const { remaining, fullSeconds } = closest;
  const reset = style === "epoch" ? Math.ceil(now() / 1000) + fullSeconds : fullSeconds;
  return `${text}${remaining}\r\nX-RateLimit-Reset: ${reset}\r\n`;
}

/** What the fields say of limits whatever is left of them, limit by limit. */
interface Wording {
  /** All from the end of the item before up to what remains: with the first of them RateLimit-Policy, which is whole. */
  readonly items: readonly string[];
  readonly legacy: readonly string[];
}

/** A list of limits, and those that go on from it: a key's limits come with those of one route and of another by turns. */
interface LimitList {
  readonly longer: WeakMap<Limit, LimitList>;
  wording: Wording | undefined;
}

const NO_LIMITS = createList();

function createList(): LimitList {
  return { longer: new WeakMap(), wording: undefined };
}

/** Of the same limits always the same, as long as they are in force. */
function wordingOf(quotas: readonly Quota[]): Wording {
  let list = NO_LIMITS;
  for (const { limit } of quotas) {
    let longer = list.longer.get(limit);
    if (longer === undefined) {
      longer = createList();
      list.longer.set(limit, longer);
    }
    list = longer;
  }
  list.wording ??= toWording(quotas.map(({ limit }) => limit));
  return list.wording;
}

function toWording(limits: readonly Limit[]): Wording {
  const policies = limits.map(
    ({ name, capacity, windowMs }) => `"${name}";q=${capacity};w=${Math.max(1, Math.round(windowMs / 1000))}`,
  );
  return {
    items: limits.map(({ name }, index) => {
      const before = index === 0 ? `RateLimit-Policy: ${policies.join(", ")}\r\nRateLimit: ` : ", ";
      return toOneString(`${before}"${name}";r=`);
    }),
    legacy: limits.map(({ capacity }) => toOneString(`X-RateLimit-Limit: ${capacity}\r\nX-RateLimit-Remaining: `)),
  };
}

// Most limits admit another request within a minute.
const SECONDS: readonly string[] = Array.from({ length: 61 }, (_, seconds) => `;t=${seconds}`);

function secondsOf(seconds: number): string {
  return SECONDS[seconds] ?? `;t=${seconds}`;
}
