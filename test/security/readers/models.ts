/** How software that cannot be run here reads a path, written from its documentation; undefined where it refuses. */
export type Model = (target: string) => string | undefined;

/**
 * - Tomcat: `CoyoteAdapter` cuts `;parameters` off each segment, decodes, then normalises `\`, `//`, `/./`, `/../`.
 * - Spring's `UrlPathHelper` decodes again what the container decoded.
 * - IIS and Windows: `Path.GetFullPath` takes both slashes, trims dots and blanks, ignores case, and NTFS
 *   ignores the name of the default stream.
 * - Express: `path-to-regexp` with its defaults ignores case and a trailing slash, and decodes nothing.
 */
export const MODELS: Readonly<Record<string, Model>> = {
  "takes the bytes as they are": (target) => pathOf(target),
  Tomcat: (target) => normalise(decode(withoutParameters(pathOf(target)))),
  "Tomcat with backslashes": (target) => normalise(decode(withoutParameters(pathOf(target)))?.replaceAll("\\", "/")),
  "parameters cut after decoding": (target) => normalise(withoutParameters(decode(pathOf(target)))),
  "a double decoder": (target) => normalise(decode(decode(pathOf(target)))),
  "a double decoder that cuts parameters": (target) => normalise(withoutParameters(decode(decode(pathOf(target))))),
  "a reader that ignores case": (target) => decode(pathOf(target))?.toLowerCase(),
  "a reader that compares in capitals": (target) => decode(pathOf(target))?.toUpperCase().toLowerCase(),
  Express: (target) =>
    pathOf(target)
      .toLowerCase()
      .replace(/(?<=.)\/$/, ""),
  Windows: (target) => windowsPath(decode(pathOf(target))),
  "a best-fit code page": (target) => normalise(decode(pathOf(target))?.normalize("NFKC")),
  "a best-fit code page without the letter": (target) => normalise(toCodePage(decode(pathOf(target)))),
  "a resolver of references": (target) =>
    URL.canParse(target, "http://upstream") ? decode(new URL(target, "http://upstream").pathname) : undefined,
  "a decoder that cuts the query afterwards": (target) => normalise(decode(pathOf(target))?.split(/[?#]/, 1)[0]),
};

/** Unicode's WindowsBestFit/bestfit1252.txt, for what others of these code pages do too: no slash and no mark is left. */
function toCodePage(path: string | undefined): string | undefined {
  return path
    ?.replace(/[\u2215\u2044\u2216\u00a5\u20a9]/g, "/")
    .normalize("NFKD")
    .replace(/[\u0300-\u036f]/g, "")
    .replaceAll("\u0131", "i");
}

function pathOf(target: string): string {
  return target.split("?", 1)[0] ?? "";
}

function decode(path: string | undefined): string | undefined {
  try {
    return path === undefined ? undefined : decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

function withoutParameters(path: string): string;
function withoutParameters(path: string | undefined): string | undefined;
function withoutParameters(path: string | undefined): string | undefined {
  return path?.replace(/;[^/]*/g, "");
}

function normalise(path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  const kept: string[] = [];
  const segments = path.split("/").slice(1);
  for (const [index, segment] of segments.entries()) {
    if (segment === "..") kept.pop();
    else if (segment !== "." && (segment !== "" || index === segments.length - 1)) kept.push(segment);
  }
  return `/${kept.join("/")}`;
}

function windowsPath(path: string | undefined): string | undefined {
  const names = path
    ?.replaceAll("\\", "/")
    .split("/")
    .map((name) => name.replace(/(?<=.):.*\$(?:data|index_allocation)$/i, "").replace(/(?<=[^. ])[. ]+$/, ""));
  return normalise(names?.join("/"))?.toLowerCase();
}
