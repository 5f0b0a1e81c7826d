import { createPrivateKey, type KeyObject } from "node:crypto";
import { checkBraces, checkSegment, reportUnknownField } from "./compile-denials.ts";
import type { Path } from "./diagnostics.ts";
import type { Report } from "./report.ts";
import type { Main } from "./schema.ts";
import type { AssertionSettings, IdentitySettings } from "./settings.ts";
import { parseTemplate, type Template, templateFields } from "./template.ts";
import { quote } from "./values.ts";

/** The identity headers of a file that names none. */
const DEFAULT_IDENTITY_HEADERS: Readonly<Record<string, string>> = {
  "X-Latchkey-Key-Id": "{key.id}",
  "X-Latchkey-Key-Name": "{key.name}",
  "X-Latchkey-Tenant": "{key.tenant}",
  "X-Latchkey-Scopes": "{key.scopes}",
  "X-Latchkey-Environment": "{key.environment}",
  "X-Latchkey-Region": "{key.region}",
};

/** The fields every identity template knows, besides {key.segments.NAME} and {key.metadata.NAME}. */
const IDENTITY_FIELDS: readonly string[] = [
  "key.id",
  "key.name",
  "key.tenant",
  "key.scopes",
  "key.environment",
  "key.region",
];

/** Compiles what the upstream learns; `privateKey` is the text of the file that signs, when it could be read. */
export function compileIdentity(
  main: Main,
  privateKey: string | undefined,
  segmentNames: ReadonlySet<string>,
  report: Report,
): IdentitySettings {
  const path = ["identity", "headers"];
  const taken = new Map<string, string>();
  const headers = Object.entries(main.identity.headers ?? DEFAULT_IDENTITY_HEADERS).map(([name, text]) => {
    const at = [...path, name];
    checkHeaderName(name, taken, report, at);
    return { name, value: compileHeaderTemplate(text, segmentNames, report, at) };
  });
  const written = main.identity.assertion;
  if (written === undefined) return { headers, assertion: undefined };
  checkHeaderName(written.header, taken, report, ["identity", "assertion", "header"]);
  if (privateKey === undefined) return { headers, assertion: undefined };
  return { headers, assertion: compileAssertion(written, privateKey, report) };
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

// Fields that frame or route the message, end at this hop (RFC 9110 §7.6.1), or that the forwarder itself writes.
const UNAVAILABLE_HEADERS: ReadonlySet<string> = new Set(
  (
    "connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade " +
    "host content-length content-encoding content-type content-range expect max-forwards date via forwarded " +
    "x-forwarded-for x-forwarded-host x-forwarded-proto x-request-id"
  ).split(" "),
);

/** Says of a header name that it cannot be set, or that an upstream may read as one that is set already. */
export function checkHeaderName(name: string, taken: Map<string, string>, report: Report, path: Path): void {
  if (!TOKEN.test(name)) report.error(path, "Expected the name of a header: letters, digits and -");
  else if (UNAVAILABLE_HEADERS.has(name.toLowerCase())) {
    report.error(path, `The header ${name} belongs to the message itself and cannot carry anything else`);
  }
  const folded = name.toLowerCase().replace(/[^a-z0-9]/g, "-");
  const other = taken.get(folded);
  if (other !== undefined) report.error(path, `The header ${name} reads the same as ${other} to many upstreams`);
  taken.set(folded, name);
}

function compileHeaderTemplate(text: string, segmentNames: ReadonlySet<string>, report: Report, path: Path): Template {
  const template = parseTemplate(text);
  checkBraces(text, report, path);
  if (!/^[\x20-\x7e]*$/.test(text)) report.error(path, "Expected printable ASCII around the template fields");
  for (const field of templateFields(template)) {
    const [, kind, name] = /^key\.(segments|metadata)\.(.+)$/.exec(field) ?? [];
    if (kind === "segments" && name !== undefined) checkSegment(name, segmentNames, report, path);
    else if (kind === undefined && !IDENTITY_FIELDS.includes(field)) {
      reportUnknownField(field, [...IDENTITY_FIELDS, "key.segments.NAME", "key.metadata.NAME"], report, path);
    }
  }
  return template;
}

type WrittenAssertion = NonNullable<Main["identity"]["assertion"]>;

const KEY_TYPES: Readonly<Record<AssertionSettings["algorithm"], string>> = {
  EdDSA: "an Ed25519 key",
  ES256: "an EC key on P-256",
  RS256: "an RSA key of at least 2048 bits",
};

function compileAssertion(written: WrittenAssertion, privateKey: string, report: Report): AssertionSettings {
  const wanted = KEY_TYPES[written.algorithm];
  const problem = findKeyProblem(written.algorithm, privateKey);
  if (problem !== undefined) {
    report.error(["identity", "assertion", "key"], `${problem}; ${written.algorithm} needs ${wanted}, PKCS #8 in PEM`);
  }
  const { header, algorithm, issuer, audience, ttl } = written;
  return { header, algorithm, privateKey, issuer, audience, ttlMs: ttl };
}

function findKeyProblem(algorithm: AssertionSettings["algorithm"], pem: string): string | undefined {
  if (!pem.includes("-----BEGIN PRIVATE KEY-----")) return `The file holds no "BEGIN PRIVATE KEY" block`;
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    // The library's message may quote the key.
    return "The private key cannot be read";
  }
  const details = key.asymmetricKeyDetails;
  const fits =
    algorithm === "EdDSA"
      ? key.asymmetricKeyType === "ed25519"
      : algorithm === "ES256"
        ? key.asymmetricKeyType === "ec" && details?.namedCurve === "prime256v1"
        : key.asymmetricKeyType === "rsa" && (details?.modulusLength ?? 0) >= 2048;
  return fits ? undefined : `The private key is of type ${quote(key.asymmetricKeyType ?? "unknown")}`;
}
