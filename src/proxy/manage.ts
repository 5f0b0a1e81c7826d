import type { KeyOperation } from "../config/settings.ts";
import type { Allowed, DenialReason } from "../policy/decision.ts";
import type { Key } from "../policy/key.ts";
import type { ClientExchange } from "./client-exchange.ts";
import { answerUnread } from "./respond.ts";
import { type ResponseAdditions, toAddedLines } from "./response-headers.ts";

/** Changes keys where they are kept. Resolves when the change is in force. */
export interface KeyOperations {
  readonly run: (operation: KeyOperation, id: string, caller: Key) => Promise<OperationResult>;
}

export type OperationResult =
  | { readonly kind: "done"; readonly body: Readonly<Record<string, string>> }
  | {
      readonly kind: "refused";
      readonly reason: Extract<
        DenialReason,
        "key_not_found" | "key_conflict" | "keys_not_writable" | "scope_insufficient"
      >;
      readonly detail: string;
      readonly scopes: readonly string[];
    };

/** An operation, the key id it is for, and the key that asks. */
export interface Operation {
  readonly operation: KeyOperation;
  readonly id: string;
  readonly caller: Key;
}

/** What an allowed request to a management route asks for; undefined for every other route. */
export function findOperation(
  permit: Allowed,
  operations: ReadonlyMap<Allowed["route"], KeyOperation>,
  target: string,
): Operation | undefined {
  const operation = operations.size === 0 ? undefined : operations.get(permit.route);
  if (operation === undefined || permit.principal === undefined) return undefined;
  // `…/{id}/rotate`: the id is the last segment but one. It was judged and is valid percent-encoding.
  const id = decodeURIComponent(target.split("?", 1)[0]?.split("/").at(-2) ?? "");
  return { operation, id, caller: permit.principal.key };
}

/** Answers an operation that was carried out. A new key stands in the body, so nothing may keep it. */
export function respondDone(
  body: Readonly<Record<string, string>>,
  added: ResponseAdditions,
  exchange: ClientExchange,
): void {
  const text = JSON.stringify(body);
  const headers = [
    ...["Content-Type", "application/json; charset=utf-8", "Content-Length", String(Buffer.byteLength(text))],
    ...["Cache-Control", "no-store", ...toAddedLines(added)],
  ];
  answerUnread({ status: 200, headers, body: text }, exchange);
}
