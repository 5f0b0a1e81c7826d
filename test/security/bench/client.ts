import { connect } from "node:net";
import type { Part } from "./case.ts";

export interface Sending {
  readonly port: number;
  readonly from?: string | undefined;
  readonly parts: readonly Part[];
  readonly ending: "wait" | "close" | "half-close";
  readonly until?: string | undefined;
  readonly deadlineMs: number;
}

/** What came back, a character a byte. */
export interface Received {
  readonly bytes: string;
  readonly ending: "closed" | "enough" | "deadline";
}

/** Sends exact bytes and reads until the other side closes, `until` was seen, or time is up. */
export function sendBytes(sending: Sending): Promise<Received> {
  return new Promise((resolve) => {
    const waiting = [...sending.parts];
    let bytes = "";
    const socket = connect({
      port: sending.port,
      host: "127.0.0.1",
      allowHalfOpen: true,
      noDelay: true,
      ...(sending.from === undefined ? {} : { localAddress: sending.from }),
    });
    const finish = (ending: Received["ending"]): void => {
      clearTimeout(deadline);
      socket.destroy();
      resolve({ bytes, ending });
    };
    const deadline = setTimeout(() => finish("deadline"), sending.deadlineMs);
    const sendNext = (): void => {
      for (;;) {
        const [part] = waiting;
        if (part === undefined) break;
        if (part.after !== undefined && !bytes.includes(part.after)) return;
        waiting.shift();
        socket.write(part.bytes, "latin1");
        if (waiting.length > 0) continue;
        if (sending.ending === "half-close") socket.end();
        // Destroyed only when the bytes are out, or nothing would ever have been sent.
        if (sending.ending === "close") socket.end(() => socket.destroy());
      }
    };
    socket.setEncoding("latin1");
    socket.on("connect", sendNext);
    socket.on("data", (text) => {
      bytes += String(text);
      sendNext();
      if (sending.until !== undefined && bytes.includes(sending.until)) finish("enough");
    });
    socket.on("end", () => finish("closed"));
    socket.on("close", () => finish("closed"));
    socket.on("error", () => finish("closed"));
  });
}
