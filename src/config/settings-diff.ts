import type { Change } from "./policy-changes.ts";
import type {
  AdminSettings,
  DenialSettings,
  DrainSettings,
  IdentitySettings,
  LimitHeaders,
  ListenSettings,
  LogSettings,
  ReloadSettings,
  Settings,
  SocketAddress,
  TrustedProxies,
  UpstreamSettings,
} from "./settings.ts";

/** A field as it stands in the file; `isShown` says whether its text may be read by whoever reads the log. */
interface Field {
  readonly name: string;
  /** Undefined where it says nothing. */
  readonly text: string | undefined;
  readonly isShown: boolean;
}

/** Every field of some settings has its place here, or the types do not fit. */
type FieldsOf<T> = Readonly<Record<keyof T, readonly Field[]>>;

/** What differs in the settings around the policy, field by field. What may be a secret is not shown. */
export function diffSettings(old: Settings, next: Settings): readonly Change[] {
  const [before, after] = [byName(toFields(old)), byName(toFields(next))];
  const names = new Set([...before.keys(), ...after.keys()]);
  return Array.from(names).flatMap((name) => compareFields(name, before.get(name), after.get(name)));
}

function byName(fields: readonly Field[]): ReadonlyMap<string, Field> {
  return new Map(fields.map((field) => [field.name, field]));
}

const NOT_SHOWN = "a value not shown";

function compareFields(name: string, old: Field | undefined, next: Field | undefined): readonly Change[] {
  const [from, to] = [old?.text, next?.text];
  if (from === to) return [];
  if (old?.isShown ?? next?.isShown) return [{ kind: "field", field: name, from, to }];
  if (from !== undefined && to !== undefined) return [{ kind: "replaced", field: name }];
  return [{ kind: "field", field: name, from: from && NOT_SHOWN, to: to && NOT_SHOWN }];
}

function shown(name: string, value: string | number | undefined): Field {
  return { name, text: value === undefined ? undefined : String(value), isShown: true };
}

function hidden(name: string, value: unknown): Field {
  const text = JSON.stringify(value, (_, inner: unknown) => (inner instanceof Map ? [...inner] : inner));
  return { name, text, isShown: false };
}

function toFields(settings: Settings): readonly Field[] {
  const fields: FieldsOf<Settings> = {
    listen: flat(listenFields(settings.listen)),
    upstream: flat(upstreamFields(settings.upstream)),
    admin: settings.admin === undefined ? [] : flat(adminFields(settings.admin)),
    limitHeaders: [shown("limits.headers", toLimitHeaders(settings.limitHeaders))],
    denials: flat(denialFields(settings.denials)),
    identity: flat(identityFields(settings.identity)),
    operations: [shown("management", toList(settings.operations.values()))],
    shadow: [shown("shadow", settings.shadow)],
    reload: flat(reloadFields(settings.reload)),
    drain: flat(drainFields(settings.drain)),
    workers: [shown("workers", settings.workers)],
    log: flat(logFields(settings.log)),
  };
  return flat(fields);
}

function flat<T extends object>(fields: FieldsOf<T>): readonly Field[] {
  return Object.values<readonly Field[]>(fields).flat();
}

function listenFields(listen: ListenSettings): FieldsOf<ListenSettings> {
  return {
    address: [shown("listen.address", toAddress(listen.address))],
    trustedProxies: trustFields(listen.trustedProxies),
    tls: [shown("listen.tls.cert", listen.tls?.cert), shown("listen.tls.key", listen.tls?.key)],
    headersTimeoutMs: [shown("listen.timeouts.headers", toDuration(listen.headersTimeoutMs))],
    requestTimeoutMs: [shown("listen.timeouts.request", toDuration(listen.requestTimeoutMs))],
    bodyIdleTimeoutMs: [shown("listen.timeouts.body", toDuration(listen.bodyIdleTimeoutMs))],
    idleTimeoutMs: [shown("listen.timeouts.idle", toDuration(listen.idleTimeoutMs))],
    maxConnections: [shown("listen.maxConnections", listen.maxConnections)],
    maxHeaderBytes: [shown("listen.maxHeaderBytes", toBytes(listen.maxHeaderBytes))],
    maxHeaders: [shown("listen.maxHeaders", listen.maxHeaders)],
    maxBodyBytes: [shown("listen.maxBody", toBytes(listen.maxBodyBytes))],
  };
}

function trustFields({ address, scheme, host }: TrustedProxies): readonly Field[] {
  return [
    shown("listen.trustedProxies.address", toList(address?.ranges)),
    shown("listen.trustedProxies.scheme", toList(scheme?.ranges)),
    shown("listen.trustedProxies.host", toList(host?.ranges)),
  ];
}

function upstreamFields(upstream: UpstreamSettings): FieldsOf<UpstreamSettings> {
  const { origin, socketPath } = upstream;
  return {
    origin: [shown("upstream.url", socketPath === undefined ? origin : `unix:${socketPath}`)],
    socketPath: [],
    ca: [hidden("upstream.ca", upstream.ca)],
    connectTimeoutMs: [shown("upstream.timeouts.connect", toDuration(upstream.connectTimeoutMs))],
    responseTimeoutMs: [shown("upstream.timeouts.response", toDuration(upstream.responseTimeoutMs))],
    idleTimeoutMs: [shown("upstream.timeouts.idle", toDuration(upstream.idleTimeoutMs))],
    maxConnections: [shown("upstream.maxConnections", upstream.maxConnections)],
    maxQueue: [shown("upstream.maxQueue", upstream.maxQueue)],
  };
}

function adminFields({ address, tokenSha256, authorizer, probes }: AdminSettings): FieldsOf<AdminSettings> {
  return {
    address: [shown("admin.address", toAddress(address))],
    tokenSha256: [hidden("admin.token", tokenSha256)],
    authorizer: [
      shown("admin.authorizer.trustedPeers", toList(authorizer?.trustedPeers.ranges)),
      hidden("admin.authorizer.token", authorizer?.tokenSha256),
    ],
    probes: Array.from(probes, ([name, path]) => shown(`admin.probes.${name}`, path)),
  };
}

/** Texts for clients are long, and stand in the answers. */
function denialFields({ body, realm, reasons, variables }: DenialSettings): FieldsOf<DenialSettings> {
  return {
    body: [hidden("denials.body", body)],
    realm: [shown("denials.realm", realm)],
    reasons: Array.from(reasons, ([reason, override]) => hidden(`denials.reasons.${reason}`, override)),
    variables: Array.from(variables, ([name, variable]) => hidden(`denials.variables.${name}`, variable)),
  };
}

/** A header may be a fixed text by which the upstream knows who speaks. */
function identityFields({ headers, assertion }: IdentitySettings): FieldsOf<IdentitySettings> {
  return {
    headers: headers.map(({ name, value }) => hidden(`identity.headers.${name}`, value.text)),
    assertion: [hidden("identity.assertion", assertion)],
  };
}

function reloadFields({ maxRemovedPercent, confirm }: ReloadSettings): FieldsOf<ReloadSettings> {
  return {
    maxRemovedPercent: [shown("reload.maxRemoved", `${maxRemovedPercent}%`)],
    confirm: [shown("reload.confirm", confirm)],
  };
}

function drainFields({ delayMs, timeoutMs, tokenSha256 }: DrainSettings): FieldsOf<DrainSettings> {
  return {
    delayMs: [shown("drain.delay", toDuration(delayMs))],
    timeoutMs: [shown("drain.timeout", toDuration(timeoutMs))],
    tokenSha256: [hidden("drain.token", tokenSha256)],
  };
}

function logFields({ level, requests }: LogSettings): FieldsOf<LogSettings> {
  return { level: [shown("log.level", level)], requests: [shown("log.requests", requests)] };
}

function toAddress(address: SocketAddress): string {
  return address.kind === "unix" ? `unix:${address.path}` : `${address.host}:${address.port}`;
}

function toDuration(ms: number): string {
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}

function toBytes(bytes: number | undefined): string | undefined {
  return bytes === undefined ? undefined : `${bytes} bytes`;
}

function toLimitHeaders({ ietf, legacy }: LimitHeaders): string | undefined {
  return toList([...(ietf ? ["ietf"] : []), ...(legacy === "off" ? [] : [`legacy ${legacy}`])]);
}

function toList(values: Iterable<string> | undefined): string | undefined {
  const list = [...(values ?? [])].join(", ");
  return list === "" ? undefined : list;
}
