import { Socket } from "node:net";

const READ_BYTES = 64 * 1024;

/** Bytes of all plain connections are read into here: each is done with them before the next is read. */
export const READ_BUFFER = Buffer.allocUnsafeSlow(READ_BYTES);

/** Is given what was read, from the buffer's beginning on. What is in `READ_BUFFER` is valid only during the call. */
export type OnRead = (buffer: Buffer, length: number) => void;

/** A socket that is read. */
export interface SocketReads {
  /** From now on it is a stream like any other, and whoever reads that is given what comes. */
  readonly release: () => void;
}

/**
 * Reads an accepted socket, one buffer for all of them: to make one for each read costs more than to parse a request.
 * Node has an option for it, `onread`, but only for sockets that connect; this sets what that option sets. Where that
 * is not to be found, and with TLS, the socket is read as a stream.
 */
export function readSocket(socket: Socket, onRead: OnRead, fields: BufferFields | "elsewhere" = FIELDS): SocketReads {
  const handle: unknown = Reflect.get(socket, "_handle");
  if (fields === "elsewhere" || !canReadInto(handle) || "encrypted" in socket) return readStream(socket, onRead);
  let isReleased = false;
  const callback = (length: number): boolean => {
    if (isReleased) return socket.push(Buffer.from(READ_BUFFER.subarray(0, length)));
    onRead(READ_BUFFER, length);
    // Whether to go on: a pause during the call has stopped the reading by itself.
    return !socket.isPaused();
  };
  Reflect.set(socket, fields.buffer, READ_BUFFER);
  Reflect.set(socket, fields.callback, callback);
  handle.useUserBuffer(READ_BUFFER);
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
}

const FIELDS = findBufferFields(new Socket());

export function findBufferFields(socket: object): BufferFields | "elsewhere" {
  const symbols = Object.getOwnPropertySymbols(socket);
  const buffer = symbols.find(({ description }) => description === "kBuffer");
  const callback = symbols.find(({ description }) => description === "kBufferCb");
  return buffer === undefined || callback === undefined ? "elsewhere" : { buffer, callback };
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
