import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** Installed by scripts/manifest-tools.ts. */
export const TOOLS = fileURLToPath(new URL("./tools/", import.meta.url));

const runFile = promisify(execFile);
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

/** Renders a kustomization as `kubectl apply -k` would send it; anything on standard error is a failure. */
export async function renderKustomization(folder: string): Promise<string> {
  return runQuietly("kubectl", ["kustomize", folder]);
}

/** Renders a chart as `helm install` would send it. */
export async function renderChart(chart: string, ...options: readonly string[]): Promise<string> {
  return runQuietly("helm", ["template", "your-app", chart, "--namespace", "your-app", ...options]);
}

export async function runQuietly(tool: "kubectl" | "helm", args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await runTool(tool, args);
  // Deprecations and unknown fields of a kustomization are only warned of.
  if (stderr !== "") throw new Error(`${tool} ${args.join(" ")}: ${stderr}`);
  return stdout;
}

export function runTool(
  tool: "kubectl" | "helm",
  args: readonly string[],
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const binary = `${TOOLS}node_modules/.bin/${tool}`;
  return runFile(binary, args, { cwd: ROOT, encoding: "utf8", maxBuffer: MAX_OUTPUT_BYTES });
}
