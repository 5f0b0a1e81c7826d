/** Whether a message is of this kind, where the kind is the caller's own parameter. */
export function isKind<M extends { readonly kind: string }, K extends M["kind"]>(
  message: M,
  kind: K,
): message is Extract<M, { kind: K }> {
  return message.kind === kind;
}
