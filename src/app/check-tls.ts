import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import type { Diagnostic } from "../config/diagnostics.ts";
import type { ListenSettings } from "../config/settings.ts";
import type { SourceIo } from "../config/source.ts";

type Named = NonNullable<ListenSettings["tls"]>;

/**
 * What is wrong with the certificate and the private key that the settings name, beyond what loading them finds. A start
 * would fail, and a reload would leave the old ones in force.
 */
export async function checkTls({ tls }: ListenSettings, read: SourceIo["readFile"]): Promise<readonly Diagnostic[]> {
  if (tls === undefined) return [];
  const certificate = await read(tls.cert).then(parseCertificate, () => undefined);
  const key = await read(tls.key).then(parseKey, () => undefined);
  if (certificate === undefined) {
    const fix = "See what it is: openssl x509 -noout -text -in CERT";
    return [toError(tls.cert, "listen.tls.cert", "The first certificate of this file cannot be read", fix)];
  }
  if (key === undefined) {
    const fix = "Latchkey has no passphrase for it; take one off with: openssl pkey -in KEY -out NEW_KEY";
    return [toError(tls.key, "listen.tls.key", "The private key of this file cannot be read", fix)];
  }
  return certificate.checkPrivateKey(key) ? [] : [toMismatch(tls)];
}

function toMismatch({ cert, key }: Named): Diagnostic {
  return toError(
    key,
    "listen.tls.key",
    `This private key is not the one of the certificate in ${cert}`,
    "Put the two of one issue there: `openssl x509 -pubkey -noout -in CERT` and `openssl pkey -pubout -in KEY` must print the same",
  );
}

function toError(file: string, path: string, message: string, fix: string): Diagnostic {
  return { severity: "error", file, line: 0, column: 0, path, message, fix };
}

/** The first of the file, which is the one that a server shows as its own. */
function parseCertificate(bytes: Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(bytes);
  } catch {
    return undefined;
  }
}

function parseKey(bytes: Uint8Array): KeyObject | undefined {
  try {
    return createPrivateKey(Buffer.from(bytes));
  } catch {
    return undefined;
  }
}
