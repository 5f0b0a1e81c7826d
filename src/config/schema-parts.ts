import * as z from "zod";
import { type Parsed, parseDuration, parseSize, parseSocketAddress, quote } from "./values.ts";

/** A string that `parse` understands; its problem becomes the message. */
export function textOf<T>(parse: (text: string) => Parsed<T>) {
  // A number that would be none in quotes either is told what is expected at once.
  const error = ({ input }: { readonly input?: unknown }) => {
    const parsed = typeof input === "number" || typeof input === "boolean" ? parse(String(input)) : undefined;
    return parsed?.kind === "problem" ? `Expected ${parsed.problem}` : undefined;
  };
  return z.string({ error }).transform((text, context) => settle(parse(text), text, context));
}

/** The value, or the problem as an issue of the schema. */
export function settle<T>(parsed: Parsed<T>, input: unknown, context: z.RefinementCtx): T {
  if (parsed.kind === "value") return parsed.value;
  context.issues.push({ code: "custom", message: `Expected ${parsed.problem}`, input });
  return z.NEVER;
}

/** A duration whose milliseconds lie between two bounds; a bare 0 is written as a number by most people. */
export function duration(minMs: number, maxMs: number, bounds: string) {
  const shape = `a duration of ${bounds}, such as 250ms, 2s or 5m`;
  const written = z.union([z.string(), z.literal(0)], { error: `Expected ${shape}` });
  return written.transform((value, context) => {
    const parsed = parseDuration(String(value));
    if (parsed.kind === "value" && parsed.value >= minMs && parsed.value <= maxMs) return parsed.value;
    return settle<number>({ kind: "problem", problem: `${shape}; found ${quote(String(value))}` }, value, context);
  });
}

export const size = z
  .union([z.string(), z.int().min(0)])
  .transform((written, context) => settle(parseSize(written), written, context));

export const socketAddress = z
  .union([z.string(), z.int().min(0).max(65_535)], {
    error: "Expected an address: host:port, :8080, 8080 or unix:/path",
  })
  .transform((written, context) => settle(parseSocketAddress(written), written, context));

/** One value or a list of them; always a list afterwards. */
export function oneOrMany<T extends z.ZodType>(item: T) {
  return z.union([item.transform((single) => [single]), z.array(item)]);
}

/** The same for editors that ask for one at least; the compiler refuses none in words that fit the field. */
export function oneOrMore<T extends z.ZodType>(item: T) {
  return z.union([item.transform((single) => [single]), z.array(item).meta({ minItems: 1 })]);
}

const rateText = z
  .string("Expected a rate, such as 100/minute")
  .describe("How many requests per window are refilled")
  .meta({ examples: ["100/minute", "1000/hour", "100/15m"] });

const limitFields = z
  .strictObject({
    rate: rateText,
    burst: z.int().min(1).optional().describe("How many requests may come at once; the rate's own number by default"),
  })
  .describe("A limit whose burst differs from its rate");

/** A limit as written: `100/minute`, or with a burst of its own. */
const limit = z.union([rateText, limitFields], { error: "Expected a rate such as 100/minute, or {rate, burst}" });

/** One limit or a list; every window must admit a request. Left as written: limits are compiled with their owner. */
// Flat, since a union within a union has to word its own failure before the next branch is tried.
export const limits = z.union([rateText, z.array(limit), limitFields], {
  error: "Expected a rate such as 100/minute, a list of rates, or {rate, burst}",
});

export type WrittenLimits = z.infer<typeof limits>;
