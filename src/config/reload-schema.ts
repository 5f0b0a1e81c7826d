import * as z from "zod";
import { textOf } from "./schema-parts.ts";
import { parsePercent } from "./values.ts";

/** How a reload is judged; part of the main schema. */
export const reload = z
  .strictObject({
    maxRemoved: textOf(parsePercent)
      .prefault("50%")
      .describe("Share of the keys, or of the routes, that one reload may remove; 100% is no bound")
      .meta({ examples: ["50%", "10%", "100%"] }),
    confirm: z
      .string()
      .regex(/^removal-[0-9a-f]{12}$/, "Expected the name of a removal, as the refused reload's log line gives it")
      .optional()
      .describe(
        "Says that one removal beyond maxRemoved is meant, by the name that the refused reload's log line gives",
      )
      .meta({ examples: ["removal-3f9a1c0b2d4e"] }),
  })
  .prefault({})
  .describe("What a reload may not do by mistake");
