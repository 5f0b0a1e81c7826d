import { type DestinationStream, type Logger, pino } from "pino";
import type { LogSettings } from "../config/settings.ts";
import type { AccessRecord, Observer } from "./access-record.ts";

export type Log = Logger;

/** The process's structured log: one JSON object a line. */
export function createLog(level: LogSettings["level"], destination: DestinationStream): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
}

/** Writes one line per request; at `error` only what points at the deployment rather than at the client. */
export function createAccessLog(log: Log, settings: () => LogSettings): Observer {
  return {
    record: (record) => {
      const wanted = settings().requests;
      if (wanted === "none" || (wanted === "denied" && record.decision === "allow")) return;
      const level = isOurFault(record) ? "error" : "info";
      log[level](toLine(record), record.decision === "allow" ? "request" : "request denied");
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

function toLine(record: AccessRecord) {
  return {
    requestId: record.requestId,
    via: record.via,
    method: record.method,
    path: record.path,
    route: record.route,
    decision: record.decision,
    reason: record.reason,
    status: record.status,
    keyId: record.keyId,
    tenant: record.tenant,
    clientAddress: record.clientAddress,
    durationMs: Math.round(record.durationMs * 100) / 100,
    ending: record.ending === "complete" ? undefined : record.ending,
    detail: record.detail === "" ? undefined : record.detail,
    revision: record.revision,
  };
}
