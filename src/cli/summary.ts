import type { LoadResult } from "../config/load.ts";
import { writtenRoutes } from "../config/written-routes.ts";
import type { Limit } from "../policy/bucket.ts";
import { formatAddress } from "./serve.ts";

/** What a config comes to, in a few facts that are true of it. */
export interface Summary {
  readonly revision: string;
  readonly files: readonly string[];
  readonly listen: string;
  readonly upstream: string;
  readonly admin: string;
  readonly routes: { readonly total: number; readonly public: number };
  readonly keys: {
    readonly total: number;
    readonly byDigest: Readonly<Record<string, number>>;
    readonly inactive: number;
  };
  readonly keyFormats: readonly string[];
  readonly credentialLocations: readonly string[];
  /** Every limit some key has, with how many have it. */
  readonly limits: Readonly<Record<string, number>>;
  readonly failures: string;
  /** The policy that is evaluated beside it, where there is one. */
  readonly shadow?: { readonly file: string; readonly revision: string } | undefined;
}

export function summarise(
  { configuration, files }: Extract<LoadResult, { readonly kind: "loaded" }>,
  shadow?: Summary["shadow"],
): Summary {
  const { policy, settings } = configuration;
  const routes = writtenRoutes(configuration);
  const keys = [...policy.keys.all()];
  return {
    revision: policy.revision,
    files,
    listen: formatAddress(settings.listen.address),
    upstream:
      settings.upstream.socketPath === undefined ? settings.upstream.origin : `unix:${settings.upstream.socketPath}`,
    admin: settings.admin === undefined ? "off" : formatAddress(settings.admin.address),
    routes: { total: routes.length, public: routes.filter(({ access }) => access.kind === "public").length },
    keys: {
      total: keys.length,
      byDigest: countBy(keys, ({ digest }) => digest.kind),
      inactive: keys.filter(({ status }) => status !== "active").length,
    },
    keyFormats: policy.keyFormats.map(({ text }) => text),
    credentialLocations: policy.credentials.locations.map(({ label }) => label),
    limits: countBy(keys, ({ limits }) => formatLimits(limits)),
    failures: policy.failureLimit?.name ?? "no limit",
    shadow,
  };
}

/** Limits as people read them: every one must admit. */
export function formatLimits(limits: readonly Limit[]): string {
  if (limits.length === 0) return "no limit";
  return limits
    .map(({ name, capacity, count }) => (capacity === count ? name : `${name} (burst ${capacity})`))
    .join(" and ");
}

function countBy<T>(items: readonly T[], nameOf: (item: T) => string): Readonly<Record<string, number>> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(nameOf(item), (counts.get(nameOf(item)) ?? 0) + 1);
  return Object.fromEntries(counts);
}

// Beyond this many different limits the list would hide what it shows.
const MAX_LIMITS_SHOWN = 4;

/** The summary for people. */
export function formatSummary(summary: Summary, file: string): string {
  const { routes, keys, shadow } = summary;
  const limits = Object.entries(summary.limits).toSorted(([, a], [, b]) => b - a);
  const shown = limits.slice(0, MAX_LIMITS_SHOWN).map(([limit, number]) => `${limit} (${plural(number, "key")})`);
  const more = limits.length - shown.length;
  const digests = Object.entries(keys.byDigest).map(([kind, number]) => `${number} ${kind}`);
  const lines = [
    `${file} is valid, revision ${summary.revision}`,
    `  requests     ${summary.listen} → ${summary.upstream}, admin ${summary.admin}`,
    `  routes       ${routes.total}, of which ${routes.public} public; anything else is refused`,
    `  keys         ${keys.total}${digests.length === 0 ? "" : ` (${digests.join(", ")})`}${
      keys.inactive === 0 ? "" : `, ${keys.inactive} suspended or revoked`
    }`,
    `  key formats  ${summary.keyFormats.length === 0 ? "any" : summary.keyFormats.join("; ")}`,
    `  presented in ${summary.credentialLocations.join(" or ")}`,
    `  limits       ${shown.length === 0 ? "no key to limit yet" : shown.join("; ")}${more === 0 ? "" : `; and ${more} more`}`,
    `  failures     ${summary.failures} per client address`,
    ...(shadow === undefined ? [] : [`  shadow       ${shadow.file} is valid, revision ${shadow.revision}`]),
  ];
  return `${lines.join("\n")}\n`;
}

function plural(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
