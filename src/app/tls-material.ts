import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import { openLastGood } from "../config/last-good.ts";
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

/** Why nobody could shake hands with what the settings name; undefined where somebody can, or they name nothing. */
export async function findTlsProblem(listen: ListenSettings, read?: SourceIo["readFile"]): Promise<string | undefined> {
  try {
    const material = await readTls(listen, read);
    if (material !== undefined) createSecureContext({ ...material });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * The certificate to start with: that of the files or, where it cannot be used, the one in the last good copy. What
 * cannot be used either is left to the listener to refuse.
 */
export async function readFirstTls(
  listen: ListenSettings,
  read: SourceIo["readFile"],
  lastGood: string | undefined,
  log: Log,
): Promise<TlsMaterial | undefined> {
  const problem = await findTlsProblem(listen, read);
  if (problem === undefined || lastGood === undefined) return readTls(listen, read);
  const copy = await openLastGood(lastGood, {}).catch(() => undefined);
  if (copy === undefined || (await findTlsProblem(listen, copy.io.readFile)) !== undefined)
    return readTls(listen, read);
  log.error({ error: problem }, "the TLS certificate cannot be used, that of the last good copy is in force");
  return readTls(listen, copy.io.readFile);
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
