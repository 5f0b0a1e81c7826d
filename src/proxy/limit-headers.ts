import type { LimitHeaders } from "../config/settings.ts";
import type { FieldText } from "../http1/fields.ts";
import type { Limit, Quota } from "../policy/bucket.ts";

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
    ietf: style.ietf ? toIetfFields(quotas) : "",
    legacy: style.legacy === "off" ? "" : toLegacyFields(closest, style.legacy, nowMs),
  };
}

function toIetfFields(quotas: readonly Quota[]): FieldText {
  let text = "";
  for (const { limit, remaining, nextSeconds } of quotas) {
    const { first, next } = wordingOf(limit);
    text += (text === "" ? first : next) + remaining + secondsOf(nextSeconds);
  }
  return `${policyFieldOf(quotas)}${text}\r\n`;
}

function toLegacyFields(
  { limit, remaining, fullSeconds }: Quota,
  style: Exclude<LimitHeaders["legacy"], "off">,
  nowMs: number,
): FieldText {
  const reset = style === "epoch" ? Math.ceil(nowMs / 1000) + fullSeconds : fullSeconds;
  return `${wordingOf(limit).legacy}${remaining}\r\nX-RateLimit-Reset: ${reset}\r\n`;
}

/** The legacy fields hold one limit: the one that will refuse first. */
function findClosest(quotas: readonly Quota[]): Quota | undefined {
  let closest = quotas[0];
  for (const quota of quotas) if (closest === undefined || quota.remaining < closest.remaining) closest = quota;
  return closest;
}

/** What the fields say of a limit whatever is left of it. */
interface Wording {
  readonly policy: string;
  /** An item of RateLimit up to what remains, as the first of the list and as one after others. */
  readonly first: string;
  readonly next: string;
  readonly legacy: string;
}

const WORDINGS = new WeakMap<Limit, Wording>();

/** Of a limit always the same, as long as it is in force. */
function wordingOf(limit: Limit): Wording {
  const known = WORDINGS.get(limit);
  if (known !== undefined) return known;
  const wording = {
    policy: `"${limit.name}";q=${limit.capacity};w=${Math.max(1, Math.round(limit.windowMs / 1000))}`,
    first: `RateLimit: "${limit.name}";r=`,
    next: `, "${limit.name}";r=`,
    legacy: `X-RateLimit-Limit: ${limit.capacity}\r\nX-RateLimit-Remaining: `,
  };
  WORDINGS.set(limit, wording);
  return wording;
}

interface PolicyField {
  readonly limits: readonly Limit[];
  readonly text: FieldText;
}

// By the first limit: the same limits come together as long as they are in force.
const POLICY_FIELDS = new WeakMap<Limit, PolicyField>();

function policyFieldOf(quotas: readonly Quota[]): FieldText {
  const [first] = quotas;
  if (first === undefined) return "";
  const known = POLICY_FIELDS.get(first.limit);
  if (known !== undefined && isOf(known, quotas)) return known.text;
  const limits = quotas.map(({ limit }) => limit);
  const text = `RateLimit-Policy: ${limits.map((limit) => wordingOf(limit).policy).join(", ")}\r\n`;
  POLICY_FIELDS.set(first.limit, { limits, text });
  return text;
}

function isOf({ limits }: PolicyField, quotas: readonly Quota[]): boolean {
  if (limits.length !== quotas.length) return false;
  for (let index = 0; index < limits.length; index += 1) if (limits[index] !== quotas[index]?.limit) return false;
  return true;
}

// Most limits admit another request within a minute.
const SECONDS: readonly string[] = Array.from({ length: 61 }, (_, seconds) => `;t=${seconds}`);

function secondsOf(seconds: number): string {
  return SECONDS[seconds] ?? `;t=${seconds}`;
}
