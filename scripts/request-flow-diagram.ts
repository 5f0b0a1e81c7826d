import type { Check } from "../src/cli/checks.ts";
import type { DenialReason } from "../src/policy/decision.ts";
import { DENIALS } from "../src/proxy/denial-table.ts";

/** One step a request takes, and what it can be refused for there. */
export interface Step {
  readonly title: string;
  readonly says: string;
  /** As `latchkey explain` calls it; undefined before the checks begin. */
  readonly check: Check | undefined;
  readonly reasons: readonly DenialReason[];
}

/** What happens to a request, from its first byte on. A test holds the order to that of `decide`. */
export const STEPS: readonly Step[] = [
  {
    title: "listener",
    says: "bytes to one request",
    check: undefined,
    reasons: ["request_invalid", "headers_too_large", "request_timeout", "draining"],
  },
  { title: "target", says: "the path has one reading", check: "target", reasons: ["target_invalid"] },
  { title: "https", says: "TLS, where it is required", check: "https", reasons: ["https_required"] },
  { title: "route", says: "the first that matches, or none", check: "route", reasons: [] },
  {
    title: "credential",
    says: "one, and not in the URL",
    check: "credential",
    reasons: ["credential_in_url", "credential_missing", "credential_ambiguous"],
  },
  {
    title: "format",
    says: "a key of this place, by its text",
    check: "format",
    reasons: ["credential_malformed", "environment_mismatch", "region_mismatch"],
  },
  {
    title: "key",
    says: "known by its digest; bcrypt in a thread",
    check: "key",
    reasons: ["key_unknown", "failures_exceeded"],
  },
  {
    title: "status",
    says: "may be used at this instant",
    check: "status",
    reasons: ["key_revoked", "key_expired", "key_not_yet_valid", "key_suspended"],
  },
  { title: "route, told", says: "only now, to who holds a key", check: "route", reasons: ["route_unknown"] },
  { title: "scope", says: "the key holds what the route needs", check: "scope", reasons: ["scope_insufficient"] },
  { title: "read-only", says: "a test key only reads", check: "read-only", reasons: ["key_read_only"] },
  { title: "address", says: "on the key's list and the route's", check: "address", reasons: ["address_denied"] },
  {
    title: "limits",
    says: "all token buckets, or none",
    check: "limits",
    reasons: ["rate_limited", "overloaded"],
  },
  {
    title: "forward",
    says: "same path bytes, headers anew",
    check: "forward",
    reasons: ["upstream_unreachable", "upstream_timeout", "upstream_invalid", "body_too_large"],
  },
];

const ROW = 46;
const BOX = { x: 64, width: 350, height: 34 };
const MIDDLE = BOX.x + BOX.width / 2;
const WIDTH = 860;
const INK = "#1f2933";

/** The steps as a picture: downwards while a request passes, to the right where it is refused. */
export function toRequestFlowDiagram(): string {
  const top = 58;
  const rows = STEPS.map((step, index) => toRow(step, top + index * ROW));
  const bottom = top + STEPS.length * ROW;
  const yOf = (title: string) => top + STEPS.findIndex((step) => step.title === title) * ROW + BOX.height / 2;
  const lane = BOX.x - 40;
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${bottom + 54}" font-family="Helvetica, Arial, sans-serif" font-size="14">`,
    "<title>The checks a request goes through, in order, and what it can be refused for at each</title>",
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">' +
      `<path d="M0 0L8 4L0 8z" fill="${INK}"/></marker></defs>`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    toEnd("client", 14),
    toArrow(MIDDLE, 42, top - 2),
    `<text x="${BOX.x + BOX.width + 40}" y="32" fill="#9b1c1c" font-weight="bold">refused: answered by Latchkey</text>`,
    ...rows,
    `<path d="M${BOX.x} ${yOf("route")}H${lane}V${yOf("address")}H${BOX.x - 4}" fill="none" stroke="${INK}" stroke-dasharray="5 4" marker-end="url(#tip)"/>`,
    `<text transform="translate(${lane - 8} ${(yOf("route") + yOf("address")) / 2}) rotate(-90)" text-anchor="middle" fill="${INK}">a public route looks at no key</text>`,
    toEnd("your app", bottom + 4),
    "</svg>",
  ].join("\n")}\n`;
}

function toRow({ title, says, reasons }: Step, y: number): string {
  const middle = y + BOX.height / 2;
  const text = middle + 5;
  const told = reasons.map((reason) => `${DENIALS[reason].status} ${reason}`);
  const half = told.length > 2 ? Math.ceil(told.length / 2) : told.length;
  const lines = [told.slice(0, half), told.slice(half)].filter((line) => line.length > 0);
  const right = BOX.x + BOX.width;
  return [
    `<rect x="${BOX.x}" y="${y}" width="${BOX.width}" height="${BOX.height}" rx="6" fill="#eef4fb" stroke="#5b7fa6"/>`,
    `<text x="${BOX.x + 12}" y="${text}" fill="${INK}"><tspan font-weight="bold">${title}</tspan>\u00a0 ${says}</text>`,
    toArrow(MIDDLE, y + BOX.height, y + ROW - 2),
    ...(lines.length === 0
      ? []
      : [`<path d="M${right} ${middle}H${right + 32}" stroke="${INK}" marker-end="url(#tip)"/>`]),
    ...lines.map(
      (line, index) =>
        `<text x="${right + 40}" y="${lines.length === 1 ? text : text - 8 + index * 16}" fill="#9b1c1c" font-size="13">${line.join(", ")}</text>`,
    ),
  ].join("\n");
}

function toEnd(text: string, y: number): string {
  return (
    `<rect x="${MIDDLE - 60}" y="${y}" width="120" height="28" rx="14" fill="${INK}"/>` +
    `<text x="${MIDDLE}" y="${y + 19}" text-anchor="middle" fill="#ffffff">${text}</text>`
  );
}

function toArrow(x: number, from: number, to: number): string {
  return `<path d="M${x} ${from}V${to}" stroke="${INK}" marker-end="url(#tip)"/>`;
}
