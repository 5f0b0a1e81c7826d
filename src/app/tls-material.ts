import { readFile } from "node:fs/promises";
import type { ListenSettings } from "../config/settings.ts";
import type { SourceIo } from "../config/source.ts";
import type { TlsMaterial } from "../proxy/listener.ts";
import type { Log } from "../telemetry/log.ts";

/** The certificate and key that the settings name; undefined where they name none. */
export async function readTls(
  listen: ListenSettings,
  read: SourceIo["readFile"] = (path) => readFile(path),
): Promise<TlsMaterial | undefined> {
  if (listen.tls === undefined) return undefined;
  const files = await Promise.all([read(listen.tls.cert), read(listen.tls.key)]);
  const [cert, key] = files.map((bytes) => new TextDecoder().decode(bytes));
  return cert === undefined || key === undefined ? undefined : { cert, key };
}

/** Reads the certificate again; one that cannot be read or used leaves the old one. */
export async function renewTls(
  listen: ListenSettings,
  renew: (material: TlsMaterial) => void,
  log: Log,
): Promise<void> {
  try {
    const material = await readTls(listen);
    if (material !== undefined) renew(material);
  } catch (error) {
    log.error({ error: String(error) }, "the TLS certificate cannot be used, the one in force stays");
  }
}
