import type { LogSettings } from "../config/settings.ts";
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

/** One JSON object; a field without a value is left out. What is of our own making needs no quoting. */
function toLine(record: AccessRecord, level: "error" | "info", time: string): string {
  let line = `{"level":"${level}"${time},"requestId":"${record.requestId}"`;
  if (record.via !== undefined) line += `,"via":"${record.via}"`;
  line += `,"method":${quote(record.method)},"path":${quote(record.path)}`;
  if (record.route !== undefined) line += `,"route":${quote(record.route)}`;
  line += `,"decision":"${record.decision}"`;
  if (record.reason !== undefined) line += `,"reason":"${record.reason}"`;
  line += `,"status":${record.status}`;
  if (record.keyId !== undefined) line += `,"keyId":${quote(record.keyId)}`;
  if (record.tenant !== undefined) line += `,"tenant":${quote(record.tenant)}`;
  line += `,"clientAddress":"${record.clientAddress}"`;
  line += `,"durationMs":${Math.round(record.durationMs * 100) / 100}`;
  if (record.ending !== "complete") line += `,"ending":"${record.ending}"`;
  if (record.detail !== "") line += `,"detail":${quote(record.detail)}`;
  const message = record.decision === "allow" ? "request" : "request denied";
  return `${line},"revision":"${record.revision}","msg":"${message}"}\n`;
}

// ASCII that JSON writes as it is (RFC 8259 §7).
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

function quote(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text);
}
