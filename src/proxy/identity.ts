import type { IdentitySettings } from "../config/settings.ts";
import { fillTemplate } from "../config/template.ts";
import { type FieldText, toFieldText } from "../http1/fields.ts";
import { toOneString } from "../http1/kept-text.ts";
import type { Key } from "../policy/key.ts";
import type { Principal } from "../policy/principal.ts";

/** The identity headers of one principal. */
export interface Identity {
  /** Flat: name, value, name, value … */
  readonly lines: readonly string[];
  readonly text: FieldText;
}

/** Writes the identity headers of one generation of config. */
export type IdentityWriter = (principal: Principal) => Identity;

/**
 * Compiles identity headers; they are filled once per key and kept as long as its record is. A header
 * whose value is absent is left out: the client's own of that name was dropped before.
 */
export function createIdentityWriter(settings: IdentitySettings): IdentityWriter {
  const known = new WeakMap<Key, Identity>();
  return (principal) => {
    let identity = known.get(principal.key);
    if (identity === undefined) {
      const lines = toHeaders(settings, principal);
      identity = { lines, text: toOneString(toFieldText(lines)) };
      known.set(principal.key, identity);
    }
    return identity;
  };
}

function toHeaders(settings: IdentitySettings, principal: Principal): readonly string[] {
  return settings.headers.flatMap(({ name, value }) => {
    const filled = toFieldValue(fillTemplate(value, (field) => principalField(principal, field)));
    return filled === "" ? [] : [name, filled];
  });
}

/** The template fields of a principal, shared by identity headers and their documentation. */
function principalField(principal: Principal, field: string): string | undefined {
  const { key, segments } = principal;
  switch (field) {
    case "key.id":
      return key.id;
    case "key.name":
      return key.name;
    case "key.tenant":
      return key.tenant;
    case "key.scopes":
      return key.scopes.join(" ");
    case "key.environment":
      return segments.get("environment");
    case "key.region":
      return segments.get("region");
    default: {
      if (field.startsWith("key.metadata.")) return key.metadata.get(field.slice("key.metadata.".length));
      if (field.startsWith("key.segments.")) return segments.get(field.slice("key.segments.".length));
      return undefined;
    }
  }
}

/** Visible ASCII and blanks stay; the rest, and `%` itself, is percent-encoded as UTF-8, so decoding is exact. */
function toFieldValue(text: string): string {
  return text.trim().replace(/[^\x20-\x24\x26-\x7e]+/gu, (run) => encodeURIComponent(run.toWellFormed()));
}
