import type { Subject } from "../fuzzer.ts";
import { configJson, configYaml } from "./config.ts";
import { json, plainRecords } from "./documents.ts";
import { headers } from "./headers.ts";
import { chunked, requestHead, responseHead } from "./http1.ts";
import { keyFormat } from "./key-format.ts";
import { target } from "./target.ts";

export const SUBJECTS: readonly Subject[] = [
  target,
  headers,
  keyFormat,
  configYaml,
  configJson,
  plainRecords,
  json,
  requestHead,
  responseHead,
  chunked,
];
