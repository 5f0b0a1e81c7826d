import { createPublicKey } from "node:crypto";
import { calculateJwkThumbprint, importPKCS8, type JWK, SignJWT } from "jose";
import type { AssertionSettings } from "../config/settings.ts";
import type { Key } from "../policy/key.ts";
import type { Principal } from "../policy/principal.ts";
import type { Clock } from "./clock.ts";

/** Signs who the caller is, for upstreams that want to verify it themselves. */
export interface AssertionSigner {
  readonly header: string;
  /** A JWT (RFC 7519) for the principal: at once while a fresh one is known, else a promise of it. */
  readonly assertionFor: (principal: Principal, clock: Clock) => string | Promise<string>;
}

interface SignedAssertion {
  readonly token: string;
  readonly renewAtMs: number;
}

// Renewed at half its life, so that an upstream always sees one with at least that left.
const RENEW_AFTER = 0.5;

export function createAssertionSigner(settings: AssertionSettings): AssertionSigner {
  const signed = new WeakMap<Key, SignedAssertion>();
  const signingKey = Promise.all([importPKCS8(settings.privateKey, settings.algorithm), publicJwk(settings)]);
  // A key that cannot be used is told at the request that needs it; without a listener it would end the process.
  signingKey.catch(() => {});
  const sign = async (principal: Principal, nowMs: number): Promise<string> => {
    const [privateKey, { kid }] = await signingKey;
    const { key } = principal;
    const issuedAt = Math.floor(nowMs / 1000);
    const token = await new SignJWT({ tenant: key.tenant, name: key.name, scope: key.scopes.join(" ") })
      .setProtectedHeader({ alg: settings.algorithm, typ: "JWT", ...(kid === undefined ? {} : { kid }) })
      .setSubject(key.id)
      .setIssuer(settings.issuer)
      .setAudience(settings.audience)
      .setIssuedAt(issuedAt)
      .setNotBefore(issuedAt)
      .setExpirationTime(issuedAt + Math.floor(settings.ttlMs / 1000))
      .sign(privateKey);
    signed.set(key, { token, renewAtMs: nowMs + settings.ttlMs * RENEW_AFTER });
    return token;
  };
  return {
    header: settings.header,
    assertionFor: (principal, clock) => {
      const nowMs = clock.now();
      const known = signed.get(principal.key);
      return known !== undefined && nowMs < known.renewAtMs ? known.token : sign(principal, nowMs);
    },
  };
}

/** The public half as a JWK (RFC 7517) whose `kid` is its thumbprint (RFC 7638). */
export async function publicJwk(settings: AssertionSettings): Promise<JWK> {
  const exported = createPublicKey(settings.privateKey).export({ format: "jwk" });
  const { kty, crv, x, y, n, e } = exported;
  const jwk: JWK = Object.fromEntries(
    Object.entries({ kty, crv, x, y, n, e }).filter(([, value]) => value !== undefined),
  );
  return { ...jwk, kid: await calculateJwkThumbprint(jwk), alg: settings.algorithm, use: "sig" };
}
