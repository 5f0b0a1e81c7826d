import type { AuthorizerSettings, Settings, TrustedProxies } from "./settings.ts";

/** Names the settings around the policy that differ, as they stand in the file; never their values. */
export function diffSettings(old: Settings, next: Settings): readonly string[] {
  const names: readonly (readonly [name: string, pick: (settings: Settings) => unknown])[] = [
    ["listen", ({ listen }) => ({ ...listen, trustedProxies: rangesOf(listen.trustedProxies) })],
    ["upstream", ({ upstream }) => upstream],
    ["admin", ({ admin }) => ({ ...admin, authorizer: toPlain(admin?.authorizer) })],
    ["limits.headers", ({ limitHeaders }) => limitHeaders],
    ["denials", ({ denials }) => denials],
    ["identity", ({ identity }) => identity],
    ["management", ({ operations }) => [...operations].map(([route, operation]) => [route.match, operation])],
    ["shadow", ({ shadow }) => shadow],
    ["reload", ({ reload }) => reload],
    ["drain", ({ drain }) => drain],
    ["workers", ({ workers }) => workers],
    ["log", ({ log }) => log],
  ];
  return names.filter(([, pick]) => toText(pick(old)) !== toText(pick(next))).map(([name]) => name);
}

function rangesOf({ address, scheme, host }: TrustedProxies) {
  return [address?.ranges, scheme?.ranges, host?.ranges];
}

function toPlain(authorizer: AuthorizerSettings | undefined) {
  return authorizer && { ...authorizer, trustedPeers: authorizer.trustedPeers.ranges };
}

function toText(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) => (inner instanceof Map ? [...inner] : inner)) ?? "";
}
