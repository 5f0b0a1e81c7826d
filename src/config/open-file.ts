import { close, fstat, open, read } from "node:fs";
import { promisify } from "node:util";

/** A file that is read a piece at a time. */
export interface OpenFile {
  readonly size: () => Promise<number>;
  /** How many bytes were read, from where the last ones ended; none at the end of the file. */
  readonly read: (into: Uint8Array, at?: number) => Promise<number>;
}

const openAt = promisify(open);
const closeAt = promisify(close);

/** Opens a file while it is read. The handles of `node:fs/promises` bring in readline and more, which a start need not pay for. */
export async function withOpenFile<T>(path: string, use: (file: OpenFile) => Promise<T>): Promise<T> {
  const fd = await openAt(path, "r");
  try {
    return await use({
      size: () =>
        new Promise((resolve, reject) => {
          fstat(fd, (error, stats) => (error === null ? resolve(stats.size) : reject(error)));
        }),
      read: (into, at = 0) =>
        new Promise((resolve, reject) => {
          read(fd, into, at, into.byteLength - at, null, (error, length) =>
            error === null ? resolve(length) : reject(error),
          );
        }),
    });
  } finally {
    await closeAt(fd);
  }
}
