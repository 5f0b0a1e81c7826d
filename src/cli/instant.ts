import { parseDuration, parseInstant } from "../config/values.ts";

/** An instant as config files write it. */
export function toInstant(ms: number): string {
  return new Date(ms).toISOString().replace(".000Z", "Z");
}

/** An instant as people type it: in full, as a date (midnight UTC), or as a duration from now such as `90d`. */
export function parseMoment(text: string, nowMs: number): number | undefined {
  const duration = parseDuration(text.replace(/^\+/, ""));
  if (duration.kind === "value") return nowMs + duration.value;
  const instant = parseInstant(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text);
  return instant.kind === "value" ? instant.value : undefined;
}
