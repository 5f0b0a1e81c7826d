import type { Track } from "./recording.ts";

// The commands that print a new key, once, on stdout and nowhere else.
const PRINTING = /(?:main\.[jt]s|latchkey) (?:keys (?:create|rotate)|demo|init)\b/;
// The requests that are answered with a new key.
const CREATING = /^POST \S*(?:\/rotate|\/keys|\/api-keys) HTTP/m;

/** Whether new keys may stand in these bytes: that is what the command or the request is for. */
export function handsOutKeys({ place, of, sent }: Track): boolean {
  return place === "stdout" ? PRINTING.test(of) : place === "answer" && CREATING.test(sent());
}

/** The keys that were handed out there. */
export function readHandedOut(track: Track): readonly string[] {
  const text = track.text();
  const members = [...text.matchAll(/"(?:key|credential)": ?"([^"]+)"/g)].map(([, key = ""]) => key);
  if (track.place === "answer") return members;
  const words = [...text.matchAll(/\b[a-z]{2,}_[A-Za-z0-9_]{20,}\b/g)].map(([word]) => word);
  return [...members, ...words, ...(/^[\w.~+-]+\n?$/.test(text) ? [text.trim()] : [])];
}
