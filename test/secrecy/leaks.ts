import { handsOutKeys, readHandedOut } from "./handing-out.ts";
import type { Place, Recording, Track } from "./recording.ts";

/** A place where one file's tests may show a secret, and why. */
export interface Exception {
  /** The end of the file's path. */
  readonly file: string;
  readonly place: Place;
  /** What stands before the secret, in lower case, to the end. */
  readonly after: RegExp;
  readonly reason: string;
}

/** Every secret that stands where it may not: which, where, and the text around it with the secret itself cut. */
export function findLeaks(
  recording: Recording,
  secrets: ReadonlySet<string>,
  exceptions: readonly Exception[],
): readonly string[] {
  const forms = [...secrets].map((secret) => ({ secret, forms: formsOf(secret) }));
  return recording.tracks().flatMap((track) => leaksIn(track, forms, exceptions));
}

function leaksIn(
  track: Track,
  secrets: readonly { readonly secret: string; readonly forms: ReadonlyMap<string, string> }[],
  exceptions: readonly Exception[],
): readonly string[] {
  const text = track.text().toLowerCase();
  if (text === "") return [];
  const handedOut = new Set(handsOutKeys(track) ? readHandedOut(track) : []);
  const allowed = exceptions.filter(({ place }) => place === track.place);
  const leaks: string[] = [];
  for (const { secret, forms } of secrets) {
    if (handedOut.has(secret)) continue;
    for (const [form, name] of forms) {
      const cutOff = name === CUT ? secret.slice(0, -TAIL).toLowerCase() : undefined;
      const before = contextsOf(form, text, cutOff).find(
        (context) => !allowed.some(({ after }) => after.test(context)),
      );
      if (before === undefined) continue;
      const where = `${track.place} of ${track.of}, after ${JSON.stringify(before)}`;
      leaks.push(`${secret.slice(0, SHOWN)}… stands ${name} in ${where}`);
      break;
    }
  }
  return leaks;
}

const CONTEXT = 60;
const SHOWN = 6;

/** What stands before each occurrence, but those that `cutOff` makes whole: they are another form. */
function contextsOf(form: string, text: string, cutOff: string | undefined): readonly string[] {
  const contexts: string[] = [];
  for (let at = text.indexOf(form); at !== -1; at = text.indexOf(form, at + form.length)) {
    if (cutOff !== undefined && text.endsWith(cutOff, at)) continue;
    contexts.push(text.slice(Math.max(0, at - CONTEXT), at));
  }
  return contexts;
}

// Long enough to be nothing else, and what is left when a redaction begins too late.
const TAIL = 24;
const CUT = "cut";

/** How a secret may be written, in lower case, with the name of each form. */
function formsOf(secret: string): ReadonlyMap<string, string> {
  const bytes = Buffer.from(secret, "utf8");
  const forms = new Map<string, string>([[bytes.toString("latin1"), "plainly"]]);
  const add = (form: string, name: string): void => {
    if (form.length >= TAIL / 2 && !forms.has(form)) forms.set(form, name);
  };
  add(encodeURIComponent(secret), "percent-encoded");
  add([...bytes].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join(""), "percent-encoded");
  add(bytes.toString("hex"), "in hex");
  add(JSON.stringify(secret).slice(1, -1), "in JSON");
  for (const shift of [0, 1, 2]) {
    const whole = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString("base64")
      .replace(/=+$/, "");
    // The first and the last characters also hold bits of what stands beside the secret.
    const inner = whole.slice(Math.ceil((shift * 8) / 6), (bytes.length + shift) % 3 === 0 ? undefined : -1);
    add(inner, "in base64");
    add(inner.replaceAll("+", "-").replaceAll("/", "_"), "in base64url");
  }
  if (secret.length >= TAIL + 8) add(secret.slice(-TAIL), CUT);
  return new Map([...forms].map(([form, name]) => [form.toLowerCase(), name]));
}
