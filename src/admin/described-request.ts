import { FORWARDED_METHODS } from "../http1/methods.ts";
import type { Address, NetworkSet } from "../policy/network.ts";
import { readForwardedAddress, readScheme } from "../proxy/client-address.ts";

/** The words in which a gateway describes the request it asks about. */
export type Contract = "nginx" | "forward-auth" | "envoy";

/** What a call to the authoriser says of the request it is about; `unclear` wherever two readers could disagree. */
export type Described = {
  readonly contract: Contract | undefined;
  /** Whether only statuses that nginx knows may be answered. */
  readonly compat: boolean;
} & (
  | {
      readonly kind: "described";
      readonly method: string;
      readonly target: string;
      readonly clientAddress: Address;
      readonly secure: boolean;
    }
  | { readonly kind: "unclear"; readonly problem: string }
);

/** A call as it came: what is read of it, and nothing of its body. */
export interface Call {
  readonly method: string;
  readonly url: string;
  readonly rawHeaders: readonly string[];
}

export const AUTHORIZE = "/authorize";

/** Whether a request to the admin port is a call to the authoriser: exactly this path, or one below it as Envoy writes it. */
export function isCall(url: string): boolean {
  if (!url.startsWith(AUTHORIZE)) return false;
  const next = url.charAt(AUTHORIZE.length);
  return next === "" || next === "?" || next === "/";
}

/**
 * Reads the description. Each set of describing headers that is there must be whole and each of its headers
 * stand once; where there are several sets, one of them may be a client's own, so all must say the same
 * (GHSA-7x63-xv5r-3p2x). The peer was found to be trusted before.
 */
export function describeRequest(call: Call, peer: Address, trustedProxies: NetworkSet | undefined): Described {
  const statements = [readEnvoy(call), readOriginal(call), readForwarded(call)].filter((read) => read !== undefined);
  const [first] = statements;
  const query = queryOf(call, statements);
  const form = { contract: first?.contract, compat: query === COMPAT };
  const unclear = (problem: string): Described => ({ kind: "unclear", ...form, problem });
  if (first === undefined) return unclear("the call describes no request");
  for (const read of statements) if (read.kind === "unclear") return unclear(read.problem);
  const stated = statements.filter((read) => read.kind === "stated");
  const [said] = stated;
  if (said === undefined || stated.some(({ method, target }) => method !== said.method || target !== said.target)) {
    return unclear("the call describes two requests");
  }
  if (!FORWARDED_METHODS.has(said.method)) return unclear("the described method is none that is forwarded");
  if (query !== "" && query !== COMPAT) return unclear("the query of the call is neither empty nor compat=nginx");
  const clientAddress = readForwardedAddress(call.rawHeaders, peer, trustedProxies);
  if (clientAddress === undefined) return unclear("X-Forwarded-For states no address of the client");
  const schemes = [readScheme(call.rawHeaders), ...stated.map(({ scheme }) => scheme)].filter(
    (scheme) => scheme !== undefined,
  );
  return {
    kind: "described",
    ...form,
    method: said.method,
    target: said.target,
    clientAddress,
    secure: schemes.length > 0 && schemes.every((scheme) => scheme === "https"),
  };
}

type Statement =
  | {
      readonly kind: "stated";
      readonly contract: Contract;
      readonly method: string;
      readonly target: string;
      readonly scheme?: string | undefined;
    }
  | { readonly kind: "unclear"; readonly contract: Contract; readonly problem: string };

const ORIGINAL_URI = "X-Original-URI";
const ORIGINAL_URL = "X-Original-URL";
const ORIGINAL_METHOD = "X-Original-Method";
const FORWARDED_URI = "X-Forwarded-Uri";
const FORWARDED_METHOD = "X-Forwarded-Method";

/** Envoy calls its path prefix with the original path behind it, by the original method. */
function readEnvoy({ method, url }: Call): Statement | undefined {
  if (!url.startsWith(`${AUTHORIZE}/`)) return undefined;
  return { kind: "stated", contract: "envoy", method, target: url.slice(AUTHORIZE.length) };
}

/** nginx, as its config has to be written; ingress-nginx states a whole URL, and with `auth-method` the target as well. */
function readOriginal({ rawHeaders }: Call): Statement | undefined {
  const contract = "nginx";
  const unclear = (problem: string): Statement => ({ kind: "unclear", contract, problem });
  const [uri, url, method] = [ORIGINAL_URI, ORIGINAL_URL, ORIGINAL_METHOD].map((name) => readOnce(rawHeaders, name));
  if (uri === undefined && url === undefined && method === undefined) return undefined;
  if (uri === "twice" || url === "twice" || method === "twice") return unclear("an X-Original header stands twice");
  if (method === undefined) return unclear(`${ORIGINAL_METHOD} is missing`);
  const whole = url === undefined ? undefined : splitUrl(url.value);
  const target = uri?.value ?? whole?.target;
  if (target === undefined) return unclear(`${ORIGINAL_URI} is missing, or ${ORIGINAL_URL} is no URL`);
  if (url !== undefined && whole?.target !== target) return unclear(`${ORIGINAL_URI} and ${ORIGINAL_URL} differ`);
  return { kind: "stated", contract, method: method.value, target, scheme: whole?.scheme };
}

/** Traefik and Caddy. */
function readForwarded({ rawHeaders }: Call): Statement | undefined {
  const contract = "forward-auth";
  const unclear = (problem: string): Statement => ({ kind: "unclear", contract, problem });
  const [uri, method] = [FORWARDED_URI, FORWARDED_METHOD].map((name) => readOnce(rawHeaders, name));
  if (uri === undefined && method === undefined) return undefined;
  if (uri === "twice" || method === "twice") {
    return unclear(`${FORWARDED_URI} or ${FORWARDED_METHOD} stands twice`);
  }
  if (method === undefined) return unclear(`${FORWARDED_METHOD} is missing`);
  if (uri === undefined) return unclear(`${FORWARDED_URI} is missing`);
  return { kind: "stated", contract, method: method.value, target: uri.value };
}

function readOnce(rawHeaders: readonly string[], wanted: string): { readonly value: string } | "twice" | undefined {
  const lowerName = wanted.toLowerCase();
  let found: { readonly value: string } | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? "";
    if (name.length !== lowerName.length || name.toLowerCase() !== lowerName) continue;
    if (found !== undefined) return "twice";
    found = { value: rawHeaders[index + 1] ?? "" };
  }
  return found;
}

// The authority is the client's own Host field: only what cannot end it early may stand in it.
const WHOLE_URL = /^(https?):\/\/(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?(\/.*)$/;

function splitUrl(text: string): { readonly scheme: string | undefined; readonly target: string } | undefined {
  if (text.startsWith("/")) return { scheme: undefined, target: text };
  const [, scheme, target] = WHOLE_URL.exec(text) ?? [];
  return target === undefined ? undefined : { scheme, target };
}

const COMPAT = "compat=nginx";

/**
 * The query of a call by an nginx that describes requests its own way. Caddy hands a client's query on with
 * its call, so where it describes the query says nothing, and below the path it is the original request's.
 */
function queryOf({ url }: Call, statements: readonly Statement[]): string {
  const contracts = statements.map(({ contract }) => contract);
  return contracts.includes("nginx") && !contracts.includes("envoy") ? url.slice(AUTHORIZE.length + 1) : "";
}
