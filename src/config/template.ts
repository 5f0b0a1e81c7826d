/** Text with `{field}` places, parsed once so that filling it in is a loop. `{{` and `}}` are literal braces. */
export interface Template {
  readonly text: string;
  readonly parts: readonly TemplatePart[];
}

export type TemplatePart =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "field"; readonly name: string };

/** Parses a template; whether its fields exist is for the caller to check. An unclosed brace is plain text. */
export function parseTemplate(text: string): Template {
  const parts: TemplatePart[] = [];
  for (const [piece, name] of text.matchAll(/\{\{|\}\}|\{([A-Za-z][A-Za-z0-9_.-]*)\}|[^{}]+|[{}]/g)) {
    if (name !== undefined) parts.push({ kind: "field", name });
    else parts.push({ kind: "text", text: piece === "{{" ? "{" : piece === "}}" ? "}" : piece });
  }
  return { text, parts };
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
