/** A place where a key may be presented. */
export interface CredentialLocation {
  /** As written, for people: `X-API-Key`. */
  readonly name: string;
  /** Lower case, as compared. */
  readonly header: string;
  /** Lower case; undefined when the whole field value is the key. */
  readonly scheme: string | undefined;
  /** In people's words, as errors speak of it: `X-API-Key header`, `Authorization header as Bearer`. */
  readonly label: string;
}

export interface CredentialRules {
  readonly locations: readonly CredentialLocation[];
  readonly inUrl: "reject" | "strip" | "ignore";
  readonly forward: boolean;
  /** Lower-case, folded names of query parameters that can only mean a key. */
  readonly urlParameters: ReadonlySet<string>;
}

export type Presented =
  | { readonly kind: "one"; readonly credential: string; readonly location: CredentialLocation }
  | { readonly kind: "none" }
  | { readonly kind: "ambiguous" };

/**
 * Reads the credential from the raw header lines, never from a joined or truncated view of them.
 * An empty value presents nothing; the same value twice is one; two different values are ambiguous.
 */
export function readCredential(rawHeaders: readonly string[], rules: CredentialRules): Presented {
  let found: string | undefined;
  let foundAt: CredentialLocation | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? "";
    for (const location of rules.locations) {
      if (name.length !== location.header.length) continue;
      if (name !== location.name && name.toLowerCase() !== location.header) continue;
      const value = readValue(rawHeaders[index + 1] ?? "", location.scheme);
      if (value === "") continue;
      if (found !== undefined && found !== value) return { kind: "ambiguous" };
      found = value;
      foundAt ??= location;
    }
  }
  return found === undefined || foundAt === undefined
    ? { kind: "none" }
    : { kind: "one", credential: found, location: foundAt };
}

/** The credential in a field value, `""` when it presents none. RFC 9110 §11.4: schemes ignore case. */
export function readValue(value: string, scheme: string | undefined): string {
  if (scheme === undefined) return trimBlanks(value);
  if (value.length < scheme.length || value.slice(0, scheme.length).toLowerCase() !== scheme) return "";
  const rest = value.slice(scheme.length);
  return rest.startsWith(" ") ? trimBlanks(rest) : "";
}

/** RFC 9110 §5.6.3: blanks are space and tab. `trim` would also take a non-breaking space, a byte of its own, for one. */
function trimBlanks(value: string): string {
  let start = 0;
  let end = value.length;
  while (start < end && isBlank(value.charCodeAt(start))) start += 1;
  while (end > start && isBlank(value.charCodeAt(end - 1))) end -= 1;
  return value.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** HTML 4 and older Python and Ruby servers separate parameters by a semicolon too (CVE-2021-23336). */
export const PARAMETER_SEPARATOR = /[&;]/;

/** The names of query parameters that present a key, as they stand in the query (still encoded). */
export function findUrlCredentials(
  query: string | undefined,
  rules: CredentialRules,
  looksLikeKey: (text: string) => boolean,
): ReadonlySet<string> {
  const found = new Set<string>();
  if (query === undefined || rules.inUrl === "ignore") return found;
  for (const pair of query.split(PARAMETER_SEPARATOR)) {
    const equals = pair.indexOf("=");
    const name = equals === -1 ? pair : pair.slice(0, equals);
    const value = equals === -1 ? "" : pair.slice(equals + 1);
    const named = value !== "" && rules.urlParameters.has(foldParameter(decodeLeniently(name)));
    // `?ord_live_…` is a key too, though it stands where a name should.
    if (named || looksLikeKey(decodeLeniently(value)) || looksLikeKey(decodeLeniently(name))) found.add(name);
  }
  return found;
}

/** `api_key`, `apiKey`, `API-Key` and `api%5Fkey` are one name to somebody's framework. */
export function foldParameter(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, "");
}

/** A part of a query as it is to whoever decodes the most: ASP.NET knows `%u004d` too, and many mind no bytes that are no UTF-8. */
export function decodeLeniently(text: string): string {
  if (!text.includes("%") && !text.includes("+")) return text;
  const started = text.replaceAll("+", " ").replace(/%u([0-9A-F]{4})/gi, fromHex);
  try {
    return decodeURIComponent(started);
  } catch {
    return started.replace(/%([0-9A-F]{2})/gi, fromHex);
  }
}

function fromHex(_: string, hex: string): string {
  return String.fromCharCode(Number.parseInt(hex, 16));
}
