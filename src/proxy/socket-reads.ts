import { Socket } from "node:net";
import type { ReadBuffers } from "./read-buffers.ts";

/** Is given what was read: a range from a buffer's beginning on, valid only during the call unless it is given away. */
export type OnRead = (buffer: Buffer, length: number) => void;

/** A socket that is read. */
export interface SocketReads {
  /** From now on it is a stream like any other, and whoever reads that is given what comes. */
  readonly release: () => void;
}

/**
 * Reads an accepted socket into buffers that are used again: to make one for each read costs more than to parse a
 * request. Node has an option for it, `onread`, but only for sockets that connect; this sets what that option sets.
 * Where that is not to be found, and with TLS, the socket is read as a stream.
 */
export function readSocket(
  socket: Socket,
  buffers: ReadBuffers,
  onRead: OnRead,
  fields: BufferFields | "elsewhere" = FIELDS,
): SocketReads {
  const handle: unknown = Reflect.get(socket, "_handle");
  if (fields === "elsewhere" || !canReadInto(handle) || "encrypted" in socket) return readStream(socket, onRead);
  let isReleased = false;
  let buffer = buffers.next();
  const callback = (length: number): boolean => {
    if (isReleased) return socket.push(Buffer.from(buffer.subarray(0, length)));
    buffers.filled(length);
    onRead(buffer, length);
    // Whether to go on: a pause during the call has stopped the reading by itself.
    return !socket.isPaused();
  };
  const next = (): Buffer => {
    buffer = buffers.next();
    return buffer;
  };
  Reflect.set(socket, fields.buffer, buffer);
  Reflect.set(socket, fields.callback, callback);
  Reflect.set(socket, fields.next, next);
  handle.useUserBuffer(buffer);
  return {
    release: () => {
      isReleased = true;
    },
  };
}

function readStream(socket: Socket, onRead: OnRead): SocketReads {
  const onData = (chunk: Buffer): void => onRead(chunk, chunk.length);
  socket.on("data", onData);
  return { release: () => void socket.off("data", onData) };
}

/** Where a socket keeps what `onread` sets. */
export interface BufferFields {
  readonly buffer: symbol;
  readonly callback: symbol;
  readonly next: symbol;
}

const FIELDS = findBufferFields(new Socket());

export function findBufferFields(socket: object): BufferFields | "elsewhere" {
  const symbols = Object.getOwnPropertySymbols(socket);
  const find = (name: string) => symbols.find(({ description }) => description === name);
  const [buffer, callback, next] = [find("kBuffer"), find("kBufferCb"), find("kBufferGen")];
  return buffer === undefined || callback === undefined || next === undefined
    ? "elsewhere"
    : { buffer, callback, next };
}

interface BufferReader {
  readonly useUserBuffer: (buffer: Buffer) => void;
}

function canReadInto(handle: unknown): handle is BufferReader {
  return (
    typeof handle === "object" &&
    handle !== null &&
    "useUserBuffer" in handle &&
    typeof handle.useUserBuffer === "function"
  );
}
