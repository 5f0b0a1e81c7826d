// What code pages of Windows have instead (unicode.org, MICSFT/WindowsBestFit) where NFKD has nothing: the division slash,
// the fraction slash and the set minus; the yen and won signs, which stand where a backslash does.
const SLASHES = /[\u2215\u2044\u2216\u00a5\u20a9]/g;

/** A text with a slash for every character that a code page has a slash for. */
export function slashOut(text: string): string {
  return text.replace(SLASHES, "/");
}
