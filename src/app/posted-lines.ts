import type { DestinationStream } from "pino";

/** Hands lines on in whole, those of one turn of the event loop at a time. */
export interface PostedLines extends DestinationStream {
  readonly flush: () => void;
}

export function createPostedLines(post: (text: string) => void): PostedLines {
  let pending = "";
  const flush = (): void => {
    if (pending === "") return;
    post(pending);
    pending = "";
  };
  return {
    write: (line) => {
      if (pending === "") setImmediate(flush);
      pending += line;
    },
    flush,
  };
}
