// glibc's malloc maps what is larger than this by itself, and unmaps it when it is freed; see mallopt(3), M_MMAP_THRESHOLD.
const MAPPED_FROM_BYTES = 128 * 1024;
// Freeing something mapped of up to 32 MiB raises that bound to its size: from then on the like comes from an arena,
// which keeps what was freed. Two reloads of a file of 18 MB left 100 MB so.
const KEEPS_BOUND_BYTES = 33 * 1024 * 1024;

/** How much to ask for where so many bytes are needed, so that the process gives it back. What nobody touches takes no memory. */
export function toRoomyBytes(bytes: number): number {
  return bytes < MAPPED_FROM_BYTES ? bytes : Math.max(bytes, KEEPS_BOUND_BYTES);
}
