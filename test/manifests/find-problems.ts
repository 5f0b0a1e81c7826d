import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import type { Manifest } from "./parse-manifests.ts";
import { ROOT, TOOLS } from "./tools.ts";

/** What is wrong with one document, by its place in the list. */
export interface Problem {
  readonly index: number;
  readonly text: string;
}

/**
 * Holds documents to the types of Kubernetes and of the operators' CRDs, in two ways since neither is enough. The
 * models' own validators know formats and enumerations but let unknown fields pass; the compiler knows every field's
 * name, and refuses others where a literal is assigned to an interface.
 */
export async function findProblems(documents: readonly Manifest[]): Promise<readonly Problem[]> {
  const invalid = await Promise.all(documents.map(validate));
  return [
    ...invalid.flatMap((text, index) => (text === undefined ? [] : [{ index, text }])),
    ...(await compile(documents)),
  ];
}

/** The package that describes an API group. An unknown group is an error: nothing may pass unjudged. */
function packageOf({ apiVersion, kind }: Manifest): string {
  const group = apiVersion.includes("/") ? (apiVersion.split("/", 1)[0] ?? "") : "";
  if (!group.includes(".") || group.endsWith(".k8s.io")) return "kubernetes-models";
  if (group === "monitoring.coreos.com") return "@kubernetes-models/prometheus-operator";
  if (group === "cert-manager.io") return "@kubernetes-models/cert-manager";
  throw new Error(`no model for ${apiVersion} ${kind}`);
}

async function validate(document: Manifest): Promise<string | undefined> {
  const { apiVersion, kind } = document;
  const file = `${TOOLS}node_modules/${packageOf(document)}/${apiVersion}/${kind}.js`;
  const module: unknown = await import(pathToFileURL(file).href);
  const model: unknown = typeof module === "object" && module !== null ? Reflect.get(module, kind) : undefined;
  if (typeof model !== "function") throw new Error(`no model for ${apiVersion} ${kind}`);
  const instance: object = Reflect.construct(model, [withUnfoldedData(document)]);
  const check: unknown = Reflect.get(instance, "validate");
  if (typeof check !== "function") throw new Error(`the model of ${apiVersion} ${kind} has no validate()`);
  try {
    Reflect.apply(check, instance, []);
    return undefined;
  } catch (error) {
    return `${kind} ${document.metadata.name}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Kustomize folds long base64, and Kubernetes decodes it so; the model's pattern knows one line only. */
function withUnfoldedData(document: Manifest): Manifest {
  const { kind, data } = document;
  if (kind !== "Secret" || typeof data !== "object" || data === null) return document;
  const unfolded = Object.entries(data).map(([name, value]) => [name, String(value).replaceAll("\n", "")]);
  return { ...document, data: Object.fromEntries(unfolded) };
}

const COMPILER_OPTIONS =
  "--noEmit --ignoreConfig --strict --skipLibCheck --module nodenext --moduleResolution nodenext --target esnext --types";

async function compile(documents: readonly Manifest[]): Promise<readonly Problem[]> {
  // Below the tools' node_modules, where the models are found and no other tool looks.
  const folder = `${TOOLS}node_modules/.checked/${randomUUID()}`;
  await mkdir(folder, { recursive: true });
  const kinds = [...new Set(documents.map((document) => typeOf(document)))];
  // One document a line, so that a line tells the document.
  const literals = documents.map((document, index) => {
    const type = `T${kinds.indexOf(typeOf(document))}`;
    return `export const d${index}: ${type} = ${JSON.stringify(document)};`;
  });
  const imports = kinds.map((text, index) => text.replace(" as T ", ` as T${index} `));
  await writeFile(`${folder}/documents.ts`, `${[imports.join(" "), ...literals].join("\n")}\n`);
  const output = await runCompiler([...COMPILER_OPTIONS.split(" "), "", `${folder}/documents.ts`]);
  await rm(folder, { recursive: true });
  return output.flatMap((line) => {
    const [, place, text] = /documents\.ts\((\d+),\d+\): error (.*)$/.exec(line) ?? [];
    if (place === undefined || text === undefined) {
      // Continued lines of a message are indented; anything else is a failure of the compiler itself.
      if (/^\s|^$/.test(line)) return [];
      throw new Error(line);
    }
    // The first line has the imports: an error there is a model that does not exist.
    if (place === "1") throw new Error(text);
    return [{ index: Number(place) - 2, text }];
  });
}

function typeOf(document: Manifest): string {
  const { apiVersion, kind } = document;
  return `import type { I${kind} as T } from "${packageOf(document)}/${apiVersion}/${kind}";`;
}

function runCompiler(args: readonly string[]): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    execFile(
      `${ROOT}node_modules/.bin/tsc`,
      args,
      { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 },
      (error, stdout) => {
        // Errors in the documents are an exit code and lines on standard output.
        if (error !== null && stdout === "") reject(error);
        else resolve(stdout.split("\n"));
      },
    );
  });
}
