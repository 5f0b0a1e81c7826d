import type { Socket } from "node:net";
import type { Clock } from "./clock.ts";

/** Writes latin1 text to a socket; false asks to wait for "drain". */
export type WriteText = (socket: Socket, text: string) => boolean;

// Where few requests are under way there is nothing to gather, and waiting for the end of a pass takes 5 µs: after a burst
// of one write, so many go at once before the next is tried.
export const WRITES_APART = 8;

/**
 * Writes text in one burst with what this pass of the event loop writes so to other sockets, at its end. Whoever reads at
 * the other end is woken by the first write of a burst and at work when the others come: writes that are apart find it
 * asleep each time, and to wake it takes microseconds of whoever writes.
 *
 * What is written to the socket afterwards, and its end, comes after the text. A socket that is destroyed first may send none.
 */
export function createBurst(afterPass: Clock["afterPass"]): WriteText {
  const holding: Socket[] = [];
  let apart = 0;
  const release = (): void => {
    if (holding.length === 1) apart = WRITES_APART;
    for (const socket of holding) socket.uncork();
    holding.length = 0;
  };
  return (socket, text) => {
    if (apart > 0) {
      apart -= 1;
    } else {
      socket.cork();
      if (holding.push(socket) === 1) afterPass(release);
    }
    return socket.write(text, "latin1");
  };
}
