import type { DenialReason } from "../policy/decision.ts";
import { DENIAL_REASONS } from "../policy/decision.ts";
import { findNearest, type Path } from "./diagnostics.ts";
import type { Report } from "./report.ts";
import type { Main } from "./schema.ts";
import type { DenialBody, DenialOverride, DenialSettings, DenialVariable, JsonTemplate } from "./settings.ts";
import { findLoneBrace, parseTemplate, type Template, templateFields } from "./template.ts";

/** The fields every denial template knows, besides the variables the file adds. */
const DENIAL_FIELDS: readonly string[] = [
  "reason",
  "code",
  "message",
  "status",
  "scopes",
  "retryAfter",
  "requestId",
  "environment",
  "region",
  "location",
];

/** Compiles how refusals are worded; a template field that nothing fills is an error. */
export function compileDenials(main: Main, segmentNames: ReadonlySet<string>, report: Report): DenialSettings {
  const { body, realm, reasons, variables } = main.denials;
  const fields = new Set([...DENIAL_FIELDS, ...Object.keys(variables)]);
  return {
    body: compileBody(body, fields, report),
    realm,
    reasons: compileReasons(reasons, fields, report),
    variables: compileVariables(variables, segmentNames, report),
  };
}

function compileBody(body: Main["denials"]["body"], fields: ReadonlySet<string>, report: Report): DenialBody {
  if (body === "problem" || body === "flat" || body === "nested") return { kind: body };
  return { kind: "template", template: compileJson(body, fields, report, ["denials", "body"]) };
}

function compileJson(value: unknown, fields: ReadonlySet<string>, report: Report, path: Path): JsonTemplate {
  if (typeof value === "string") return { kind: "string", template: compileTemplate(value, fields, report, path) };
  if (Array.isArray(value)) {
    return { kind: "array", items: value.map((item, index) => compileJson(item, fields, report, [...path, index])) };
  }
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value).map(
      ([name, member]) => [name, compileJson(member, fields, report, [...path, name])] as const,
    );
    return { kind: "object", members };
  }
  return { kind: "literal", value: typeof value === "number" || typeof value === "boolean" ? value : null };
}

function compileTemplate(text: string, fields: ReadonlySet<string>, report: Report, path: Path): Template {
  const template = parseTemplate(text);
  checkBraces(text, report, path);
  for (const field of templateFields(template)) {
    if (!fields.has(field)) reportUnknownField(field, fields, report, path);
  }
  return template;
}

/** Says of a brace that would reach clients, or the upstream, as it stands. */
export function checkBraces(text: string, report: Report, path: Path): void {
  const brace = findLoneBrace(text);
  if (brace === undefined) return;
  report.error(
    path,
    `A ${brace} stands alone; expected a field such as {name}, or ${brace}${brace} for the brace itself`,
  );
}

/** Says of a template field that nothing fills, and which one was most likely meant. */
export function reportUnknownField(field: string, known: Iterable<string>, report: Report, path: Path): void {
  const names = [...known];
  const nearest = findNearest(field, names);
  const fix = nearest === undefined ? `Write {{${field}}} for the text itself` : `Did you mean {${nearest}}?`;
  report.error(path, `Unknown template field {${field}}; expected ${names.map((name) => `{${name}}`).join(" ")}`, fix);
}

function compileReasons(
  written: Main["denials"]["reasons"],
  fields: ReadonlySet<string>,
  report: Report,
): ReadonlyMap<DenialReason, DenialOverride> {
  const reasons = new Map<DenialReason, DenialOverride>();
  for (const reason of DENIAL_REASONS) {
    const override = written[reason];
    if (override === undefined) continue;
    const path = ["denials", "reasons", reason, "message"];
    const message =
      override.message === undefined ? undefined : compileTemplate(override.message, fields, report, path);
    if (message !== undefined && templateFields(message).includes("message")) {
      report.error(path, "A message cannot contain {message}, which is itself");
    }
    reasons.set(reason, { status: override.status, code: override.code, message });
  }
  return reasons;
}

function compileVariables(
  written: Main["denials"]["variables"],
  segmentNames: ReadonlySet<string>,
  report: Report,
): ReadonlyMap<string, DenialVariable> {
  const variables = new Map<string, DenialVariable>();
  for (const [name, variable] of Object.entries(written)) {
    const path = ["denials", "variables", name];
    if (!/^[A-Za-z][A-Za-z0-9_.-]*$/.test(name)) report.error(path, "Expected a name of letters, digits and _ . -");
    if (DENIAL_FIELDS.includes(name)) report.error(path, `The name {${name}} is taken; choose another`);
    checkSegment(variable.from, segmentNames, report, [...path, "from"]);
    variables.set(name, {
      segment: variable.from,
      values: new Map(Object.entries(variable.values)),
      fallback: variable.default,
    });
  }
  return variables;
}

/** Says of a segment that no key format names. */
export function checkSegment(name: string, known: ReadonlySet<string>, report: Report, path: Path): void {
  if (known.has(name)) return;
  const nearest = findNearest(name, known);
  const names = known.size === 0 ? "no format names any" : `the formats name ${[...known].join(", ")}`;
  report.error(
    path,
    `No key format has a segment of choices called "${name}"; ${names}`,
    nearest === undefined ? undefined : `Did you mean ${nearest}?`,
  );
}
