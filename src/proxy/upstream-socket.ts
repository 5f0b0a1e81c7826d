import { connect as connectPlain, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { READ_BUFFER, type ReadBuffers } from "./read-buffers.ts";

/** Where connections to the upstream lead. */
export type UpstreamAddress =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "tls"; readonly host: string; readonly port: number; readonly ca: string | undefined };

/** Is given what was read: a range that is only valid during the call. Gives back whether to go on reading. */
export type Read = (buffer: Buffer, from: number, to: number) => boolean;

export interface UpstreamSocket {
  readonly socket: Socket;
  /** From now on it is a stream like any other, and whoever reads that is given what comes. */
  readonly release: () => void;
}

/** Opens a connection. It stands at `connect`, or with TLS at `secureConnect`. */
export function openUpstreamSocket(address: UpstreamAddress, buffers: ReadBuffers, read: Read): UpstreamSocket {
  if (address.kind === "tls") {
    const { host, port, ca } = address;
    const socket = connectTls({
      ...{ host, port, ALPNProtocols: ["http/1.1"] },
      // RFC 6066 §3: an address is no server name.
      ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
      ...(ca === undefined ? {} : { ca }),
    });
    const onData = (chunk: Buffer): void => void read(chunk, 0, chunk.length);
    socket.on("data", onData);
    socket.setNoDelay(true);
    return { socket, release: () => void socket.off("data", onData) };
  }
  let buffer = READ_BUFFER;
  let isReleased = false;
  const onread = {
    buffer: () => {
      buffer = buffers.next();
      return buffer;
    },
    callback: (length: number): boolean => {
      if (isReleased) return socket.push(Buffer.from(buffer.subarray(0, length)));
      buffers.filled(length);
      return read(buffer, 0, length);
    },
  };
  const where = address.kind === "unix" ? { path: address.path } : { host: address.host, port: address.port };
  const socket: Socket = connectPlain({ ...where, noDelay: true, onread });
  return {
    socket,
    release: () => {
      isReleased = true;
    },
  };
}
