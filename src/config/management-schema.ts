import * as z from "zod";

const scope = z.string().min(1);

/** Key operations on the proxied listener; part of the main schema. */
export const management = z
  .strictObject({
    path: z
      .string()
      .regex(/^(\/[A-Za-z0-9\-._~]+)+$/, "Expected a path such as /api/v1/api-keys, without a slash at its end")
      .describe("Where the operations stand: POST {path}/{id}/rotate, /revoke, /suspend and /resume"),
    scopes: z
      .union([
        scope.transform((all) => ({ rotate: all, revoke: all, suspend: all, resume: all })),
        z.strictObject({
          rotate: scope.optional().describe("Scope to replace a key by a new one and revoke the old"),
          revoke: scope.optional().describe("Scope to revoke a key for good"),
          suspend: scope.optional().describe("Scope to suspend a key"),
          resume: scope.optional().describe("Scope to make a suspended key active again"),
        }),
      ])
      .describe("The scope each operation needs, or one for all; an operation without a scope is not offered"),
  })
  .describe("Lets keys that hold a scope manage keys over HTTP; the keys files must be writable")
  .meta({ examples: [{ path: "/api/v1/api-keys", scopes: { rotate: "api_key.rotate", revoke: "api_key.revoke" } }] });
