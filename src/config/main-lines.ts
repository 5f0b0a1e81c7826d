import type { Document } from "./document.ts";

/** Where the parts of the main file stand that a compiled policy remembers: plain data, unlike the document. */
export interface MainLines {
  readonly file: string;
  /** Of each route, in order. */
  readonly routes: readonly number[];
  readonly management: number;
}

export function readMainLines(document: Document, routeCount: number): MainLines {
  const lineOf = (...path: readonly (string | number)[]) => document.locate(path, "value")?.line ?? 0;
  return {
    file: document.file,
    routes: Array.from({ length: routeCount }, (_, index) => lineOf("routes", index)),
    management: lineOf("management"),
  };
}
