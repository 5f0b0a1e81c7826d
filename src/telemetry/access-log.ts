import type { LogSettings } from "../config/settings.ts";
import { toOneString } from "../http1/kept-text.ts";
import { createRecent } from "../policy/recent.ts";
import type { AccessRecord, Observer } from "./access-record.ts";
import type { Log } from "./log.ts";

/**
 * Writes one line per request; at `error` only what points at the deployment rather than at the client. The line is
 * the one the log would make of the same fields, put together by hand: that is five times as fast, and no other line
 * is written for every request.
 */
export function createAccessLog(log: Log, settings: () => LogSettings): Observer {
  return {
    record: (record) => {
      const wanted = settings().requests;
      if (wanted === "none" || (wanted === "denied" && record.decision === "allow")) return;
      const level = isOurFault(record) ? "error" : "info";
      if (log.isLevelEnabled(level)) log.writeLine(toLine(record, level, log.time()));
    },
  };
}

function isOurFault(record: AccessRecord): boolean {
  switch (record.reason) {
    case "internal_error":
    case "upstream_unreachable":
    case "upstream_invalid":
    case "upstream_timeout":
      return true;
    default:
      return record.ending === "truncated";
  }
}

/**
 * One JSON object; a field without a value is left out. What is of our own making needs no quoting. Put together of
 * few and long pieces: each of them is an object of its own until the line is written.
 */
function toLine(record: AccessRecord, level: "error" | "info", time: string): string {
  const { requestId, method, path, decision, status, clientAddress, durationMs, revision } = record;
  const via = record.via === undefined ? "" : `,"via":"${record.via}"`;
  const route = record.route === undefined ? "" : `,"route":"${escaped(record.route)}"`;
  const reason = record.reason === undefined ? "" : `,"reason":"${record.reason}"`;
  const key = record.keyId === undefined ? "" : keyFieldsOf(record.keyId, record.tenant);
  const ending = record.ending === "complete" ? "" : `,"ending":"${record.ending}"`;
  const detail = record.detail === "" ? "" : `,"detail":"${escaped(record.detail)}"`;
  const message = decision === "allow" ? "request" : "request denied";
  const duration = Math.round(durationMs * 100) / 100;
  return `{"level":"${level}"${time},"requestId":"${requestId}"${via},"method":"${escaped(method)}","path":"${escaped(path)}"${route},"decision":"${decision}"${reason},"status":${status}${key},"clientAddress":"${clientAddress}","durationMs":${duration}${ending}${detail},"revision":"${revision}","msg":"${message}"}\n`;
}

interface KeyFields {
  readonly tenant: string | undefined;
  readonly text: string;
}

const KEY_FIELDS = createRecent<string, KeyFields>(1024);

/** The same for each request of a key. */
function keyFieldsOf(keyId: string, tenant: string | undefined): string {
  const known = KEY_FIELDS.get(keyId);
  if (known !== undefined && known.tenant === tenant) return known.text;
  const text = toOneString(
    `,"keyId":"${escaped(keyId)}"${tenant === undefined ? "" : `,"tenant":"${escaped(tenant)}"`}`,
  );
  KEY_FIELDS.set(keyId, { tenant, text });
  return text;
}

// ASCII that JSON writes as it is (RFC 8259 §7).
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

/** As it stands in a JSON string, between the quotes. */
function escaped(text: string): string {
  return PLAIN.test(text) ? text : JSON.stringify(text).slice(1, -1);
}
