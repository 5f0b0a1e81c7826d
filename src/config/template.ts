/** Text with `{field}` places, parsed once so that filling it in is a loop. `{{` and `}}` are literal braces. */
export interface Template {
  readonly text: string;
  readonly parts: readonly TemplatePart[];
}

export type TemplatePart =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "field"; readonly name: string };

/** Parses a template; whether its fields exist, and braces stand alone, is for the caller to check. Such a brace is plain text. */
export function parseTemplate(text: string): Template {
  const parts: TemplatePart[] = [];
  for (const [piece, name] of text.matchAll(PIECE)) {
    if (name !== undefined) parts.push({ kind: "field", name });
    else parts.push({ kind: "text", text: piece === "{{" ? "{" : piece === "}}" ? "}" : piece });
  }
  return { text, parts };
}

const PIECE = /\{\{|\}\}|\{([A-Za-z][A-Za-z0-9_.-]*)\}|[^{}]+|[{}]/g;

/** The first brace that is neither part of a field nor doubled: most likely a slip in a field. */
export function findLoneBrace(text: string): string | undefined {
  return Array.from(text.matchAll(PIECE), ([piece]) => piece).find((piece) => piece === "{" || piece === "}");
}

/** The names of the fields a template uses. */
export function templateFields(template: Template): readonly string[] {
  return template.parts.flatMap((part) => (part.kind === "field" ? [part.name] : []));
}

/** Fills a template; a field `lookUp` does not know is left out. */
export function fillTemplate(template: Template, lookUp: (name: string) => string | undefined): string {
  let filled = "";
  for (const part of template.parts) filled += part.kind === "text" ? part.text : (lookUp(part.name) ?? "");
  return filled;
}
