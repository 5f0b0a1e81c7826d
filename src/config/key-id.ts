const MAX_LENGTH = 128;

// Ids stand in headers, logs, metrics, URLs and shell commands, so they hold what all of those carry as it is.
const ID = new RegExp(`^[A-Za-z0-9][A-Za-z0-9._:@+~-]{0,${MAX_LENGTH - 1}}$`);

export const KEY_ID_SHAPE = `1 to ${MAX_LENGTH} letters, digits and . _ : @ + ~ -, beginning with a letter or digit`;

export function isKeyId(text: string): boolean {
  return ID.test(text);
}

/**
 * `pos` becomes `pos-2`, `pos-2` becomes `pos-3`: the first such id that is free. Where there is no room for the number, the
 * end of the rest gives way to it.
 */
export function nextKeyId(id: string, isTaken: (id: string) => boolean): string {
  const [, stem = id, number = "1"] = /^(.*?)(?:-(\d{1,6}))?$/.exec(id) ?? [];
  for (let next = Number(number) + 1; ; next += 1) {
    const ending = `-${next}`;
    const candidate = stem.slice(0, MAX_LENGTH - ending.length) + ending;
    if (!isTaken(candidate)) return candidate;
  }
}
