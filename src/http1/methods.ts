import { METHODS } from "node:http";

/** What upstreams know as methods. Another word at the start of a line is more likely another protocol. */
export const KNOWN_METHODS: ReadonlySet<string> = new Set(METHODS);

/** Those that a proxy may pass on: of the others one opens a tunnel (RFC 9110 §9.3.6) and one answers with the request itself (§9.3.8). */
export const FORWARDED_METHODS: ReadonlySet<string> = KNOWN_METHODS.difference(new Set(["CONNECT", "TRACE"]));
