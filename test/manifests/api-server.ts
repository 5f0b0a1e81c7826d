import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { buffer } from "node:stream/consumers";
import { parse } from "yaml";
import { type Manifest, toManifest } from "./parse-manifests.ts";
import { readSecretBytes } from "./secret-bytes.ts";

/** As much of an API server as kubectl and helm need to send it objects. It judges none of them, and runs nothing. */
export interface ApiServer {
  readonly url: string;
  /** What was created or applied, in the order in which it came. */
  readonly received: readonly Manifest[];
  readonly close: () => Promise<void>;
}

/** The kinds it knows, by the versions of their API. The manifests have no other. */
const KINDS: Readonly<Record<string, readonly (readonly [kind: string, plural: string, isNamespaced: boolean])[]>> = {
  v1: [
    ["Namespace", "namespaces", false],
    ["ConfigMap", "configmaps", true],
    ["Secret", "secrets", true],
    ["Service", "services", true],
    ["ServiceAccount", "serviceaccounts", true],
  ],
  "apps/v1": [["Deployment", "deployments", true]],
  "batch/v1": [["Job", "jobs", true]],
  "networking.k8s.io/v1": [["NetworkPolicy", "networkpolicies", true]],
  "policy/v1": [["PodDisruptionBudget", "poddisruptionbudgets", true]],
  "autoscaling/v2": [["HorizontalPodAutoscaler", "horizontalpodautoscalers", true]],
};
const VERSIONS = Object.keys(KINDS);
const VERBS = ["create", "get", "list", "patch", "update", "delete", "watch"];

export async function startApiServer(): Promise<ApiServer> {
  const stored = new Map<string, Manifest>();
  const received: Manifest[] = [];
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://server");
    const [status, body] = await answer(request, pathname).catch(
      (error: unknown) => [500, failure(500, String(error))] as const,
    );
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  });

  async function answer(request: IncomingMessage, path: string): Promise<readonly [status: number, body: object]> {
    if (request.method === "GET") {
      const found = describe(path) ?? stored.get(path);
      if (found !== undefined) return [200, found];
      const list = findCollection(path);
      if (list === undefined) return [404, failure(404, "NotFound")];
      const items = [...stored].flatMap(([key, item]) => (key.startsWith(`${path}/`) ? [item] : []));
      return [200, { kind: `${list.kind}List`, apiVersion: list.version, metadata: {}, items }];
    }
    if (request.method === "DELETE") return [200, { kind: "Status", apiVersion: "v1", status: "Success" }];
    const bytes = await buffer(request);
    const isBinary = request.headers["content-type"]?.includes("protobuf") === true;
    // Applied objects may come as YAML, and JSON is YAML.
    const manifest = isBinary ? readSecretBytes(bytes) : toManifest(parse(bytes.toString()));
    const key = request.method === "POST" ? `${path}/${manifest.metadata.name}` : path;
    if (request.method === "POST" && stored.has(key)) return [409, failure(409, "AlreadyExists")];
    stored.set(key, manifest);
    received.push(manifest);
    return [request.method === "POST" ? 201 : 200, manifest];
  }

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = Object(server.address());
  return {
    url: `http://127.0.0.1:${port}`,
    received,
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

/** Discovery, and of the schema as much as says that the server itself refuses unknown fields. */
function describe(path: string): object | undefined {
  if (path === "/version") return { major: "1", minor: "35", gitVersion: "v1.35.0" };
  if (path === "/api") return { kind: "APIVersions", versions: ["v1"] };
  if (path === "/apis") return { kind: "APIGroupList", apiVersion: "v1", groups: VERSIONS.flatMap(toGroup) };
  if (path === "/openapi/v3") {
    const paths = VERSIONS.map((version) => [
      rootOf(version).slice(1),
      { serverRelativeURL: `/openapi/v3${rootOf(version)}` },
    ]);
    return { paths: Object.fromEntries(paths) };
  }
  for (const version of VERSIONS) {
    if (path === rootOf(version)) {
      const resources = (KINDS[version] ?? []).map(([kind, name, namespaced]) => ({
        ...{ kind, name, namespaced, singularName: kind.toLowerCase(), verbs: VERBS },
      }));
      return { kind: "APIResourceList", apiVersion: "v1", groupVersion: version, resources };
    }
    if (path === `/openapi/v3${rootOf(version)}`) return toSchema(version);
  }
  return undefined;
}

function rootOf(version: string): string {
  return version.includes("/") ? `/apis/${version}` : `/api/${version}`;
}

function toGroup(groupVersion: string): readonly object[] {
  const [name, version] = groupVersion.split("/");
  if (version === undefined) return [];
  const preferredVersion = { groupVersion, version };
  return [{ name, versions: [preferredVersion], preferredVersion }];
}

function toSchema(groupVersion: string): object {
  const [version, group = ""] = groupVersion.split("/").toReversed();
  const paths = (KINDS[groupVersion] ?? []).map(([kind, plural]) => {
    const parameters = [{ name: "fieldValidation", in: "query", schema: { type: "string" } }];
    const patch = { parameters, responses: {}, "x-kubernetes-group-version-kind": { group, version, kind } };
    return [`${rootOf(groupVersion)}/${plural}/{name}`, { patch }];
  });
  return { openapi: "3.0.0", info: { title: "Kubernetes", version: "v1" }, paths: Object.fromEntries(paths) };
}

function findCollection(path: string): { readonly kind: string; readonly version: string } | undefined {
  for (const version of VERSIONS) {
    for (const [kind, plural] of KINDS[version] ?? []) {
      if (path.startsWith(rootOf(version)) && path.endsWith(`/${plural}`)) return { kind, version };
    }
  }
  return undefined;
}

function failure(code: number, reason: string): object {
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", code, reason, message: reason };
}
