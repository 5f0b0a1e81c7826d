import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { handsOutKeys, readHandedOut } from "./handing-out.ts";
import type { Recording, Track } from "./recording.ts";

// Shorter ones, such as `Bearer wrong`, are words that stand in ordinary text too.
const SHORTEST = 12;

// The header that presents a key, on a line of its own on the wire, or in quotes on a command line. What follows another
// scheme, such as Basic, is the app's.
const PRESENTED =
  /(?:^|["'\n])(?:authorization: *(?:(?:bearer|token|apikey) +)?(?![a-z][a-z0-9-]{0,19} +\S)|(?:x-)?(?!latchkey)(?:[a-z]+-)?(?:api-?key|key|token): *)([^\s"',;]+)/gim;

const declared = new Set<string>();

/** Says that a text is a secret. What presents keys in the usual headers need not. */
export function declareSecret(secret: string): void {
  declared.add(secret);
}

const SECRET_VARIABLE = /PEPPER|TOKEN|SECRET|PASSWORD/;

/** Declares what a test hands over in variables of such names. */
export function declareSecretVariables(env: Readonly<Record<string, string | undefined>>): void {
  for (const [name, value] of Object.entries(env)) {
    // What this process itself was started with is no test's.
    if (value !== undefined && SECRET_VARIABLE.test(name) && process.env[name] !== value) declareSecret(value);
  }
}

/** Declares what is secret in the folder of the config that a command line names; soon it may be gone. */
export function declarePrivateFiles(commandLine: string): void {
  for (const [, file = ""] of commandLine.matchAll(/^(?:--config|-c)(?:\n|=)(.+)$/gm)) {
    for (const line of privateLinesIn(dirname(file))) declareSecret(line);
  }
}

/** Every secret that a test used: what was declared, what it presented and what it was handed. */
export function findSecrets(recording: Recording): ReadonlySet<string> {
  const found = new Set(declared);
  for (const text of [...recording.given(), ...recording.tracks().map((track) => track.sent())]) {
    for (const [, credential = ""] of text.matchAll(PRESENTED)) found.add(credential);
  }
  for (const track of recording.tracks()) for (const key of handedOutIn(track)) found.add(key);
  return new Set([...found].filter((secret) => secret.length >= SHORTEST));
}

function handedOutIn(track: Track): readonly string[] {
  return handsOutKeys(track) ? readHandedOut(track) : [];
}

/** The lines of private keys, and of files that are called a pepper. */
function privateLinesIn(folder: string): readonly string[] {
  const lines: string[] = [];
  for (const name of namesIn(folder)) {
    if (!/\.(?:pem|key)$|pepper/.test(name)) continue;
    const text = readFileSync(join(folder, name), "latin1");
    if (name.includes("pepper")) lines.push(text.trim());
    for (const [block] of text.matchAll(/-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]+/g)) {
      lines.push(
        ...block
          .split("\n")
          .slice(1)
          .filter((line) => line.length >= SHORTEST),
      );
    }
  }
  return lines;
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isFile() ? [entry.name] : []));
  } catch {
    // A test of a config that is not there.
    return [];
  }
}
