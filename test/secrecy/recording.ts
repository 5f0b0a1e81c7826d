import childProcess, { type ChildProcess } from "node:child_process";
import { subscribe } from "node:diagnostics_channel";
import { Server as HttpServer, type IncomingMessage } from "node:http";
import { Server as HttpsServer } from "node:https";
import { syncBuiltinESMExports } from "node:module";
import { Server, Socket } from "node:net";
import { fileURLToPath } from "node:url";

/** Where bytes were seen: what a program wrote, what a client was answered, what an upstream received. */
export type Place = "stdout" | "stderr" | "answer" | "upstream";

/** The bytes of one connection or output, a character a byte. */
export interface Track {
  readonly place: Place;
  /** Whose they are: the command line of a program, or the other end of a connection. */
  readonly of: string;
  readonly text: () => string;
  /** What the test itself wrote to the same connection. */
  readonly sent: () => string;
}

/** All that went in and out of a process of tests. */
export interface Recording {
  readonly tracks: () => readonly Track[];
  /** Texts the test handed to a program otherwise than over a socket: command lines, a word on each line. */
  readonly given: () => readonly string[];
  /** Adds what no hook sees, such as a command that ran inside this process. */
  readonly note: (place: Place, of: string, text: string) => void;
  readonly give: (commandLine: string) => void;
  readonly clear: () => void;
}

/** Is told of every program a test starts, before it runs. */
export interface StartWatcher {
  /** A word on each line. */
  readonly line: (commandLine: string) => void;
  readonly env: (env: Readonly<Record<string, string | undefined>>) => void;
}

interface Growing extends Track {
  readonly chunks: Buffer[];
  readonly written: Buffer[];
}

const SOURCES = fileURLToPath(new URL("../../src/", import.meta.url));

/**
 * Records, from now on, what every socket of this process reads and writes, what every HTTP server in it is asked
 * and what every process it starts writes. The hooks are in Node's own classes, so no test can forget them.
 */
export function startRecording(onStart: StartWatcher): Recording {
  let tracks: Growing[] = [];
  let given: string[] = [];
  let bySocket = new WeakMap<object, Growing>();
  const add = (place: Place, of: string): Growing => {
    const chunks: Buffer[] = [];
    const written: Buffer[] = [];
    const track = { place, of, chunks, written, text: () => toText(chunks), sent: () => toText(written) };
    tracks.push(track);
    return track;
  };
  const trackOf = (socket: object, place: Place, of: () => string): Growing => {
    const known = bySocket.get(socket);
    if (known !== undefined) return known;
    const track = add(place, of());
    bySocket.set(socket, track);
    return track;
  };
  const clientTrack = (socket: Socket): Growing =>
    trackOf(socket, "answer", () => `connection to ${socket.remotePort ?? "a unix socket"}`);
  const ofProgram = (child: ChildProcess): void => {
    const line = child.spawnargs.join(" ");
    give(child.spawnargs.join("\n"));
    if (child.stdout !== null) trackOf(child.stdout, "stdout", () => line);
    if (child.stderr !== null) trackOf(child.stderr, "stderr", () => line);
  };
  const give = (line: string): void => {
    given.push(line);
    onStart.line(line);
  };
  const note: Recording["note"] = (place, of, text) => void add(place, of).chunks.push(Buffer.from(text));

  const isOwn = watchOwnServers();
  subscribe("tracing:child_process.spawn:start", (message) => {
    if (typeof message !== "object" || message === null || !("process" in message)) return;
    const { process: child } = message;
    if (child instanceof childProcess.ChildProcess) child.once("spawn", () => ofProgram(child));
    if ("options" in message) onStart.env(envOf(message.options));
  });
  hookSynchronous((line, env, outputs) => {
    give(line.join("\n"));
    onStart.env(env);
    for (const [place, text] of Object.entries(outputs))
      note(place === "stdout" ? place : "stderr", line.join(" "), text);
  });
  hookRequests((server, bytes, connection) => {
    if (!isOwn(server)) trackOf(connection, "upstream", () => "a server of the test").chunks.push(bytes);
  });
  hookReads((socket, bytes) => {
    const server = serverOf(socket);
    if (server === undefined) clientTrack(socket).chunks.push(bytes);
    else if (!isOwn(server)) trackOf(socket, "upstream", () => "a server of the test").chunks.push(bytes);
  });
  hookWrites((socket, bytes) => {
    if (serverOf(socket) === undefined) clientTrack(socket).written.push(bytes);
  });
  return {
    tracks: () => tracks,
    given: () => given,
    note,
    give,
    clear: () => {
      tracks = [];
      given = [];
      bySocket = new WeakMap();
    },
  };
}

function toText(chunks: readonly Buffer[]): string {
  return chunks.map((chunk) => chunk.toString("latin1")).join("");
}

/** The server that accepted a socket; undefined for a socket that this process opened. */
function serverOf(socket: Socket): object | undefined {
  const server: unknown = "server" in socket ? socket.server : undefined;
  return typeof server === "object" && server !== null ? server : undefined;
}

/** Tells listeners that our sources opened in this process from the upstreams of tests: clients present keys there. */
function watchOwnServers(): (server: object) => boolean {
  const own = new WeakSet<object>();
  const { listen } = Server.prototype;
  Object.defineProperty(Server.prototype, "listen", {
    value: function (this: Server, ...options: Parameters<typeof listen>) {
      if (new Error("where").stack?.includes(SOURCES) === true) own.add(this);
      return Reflect.apply(listen, this, options);
    },
    writable: true,
    configurable: true,
  });
  return (server) => own.has(server);
}

/** What sockets read in JavaScript; Node's HTTP server takes its bytes off the handle before. */
function hookReads(seen: (socket: Socket, bytes: Buffer) => void): void {
  const { push } = Socket.prototype;
  Object.defineProperty(Socket.prototype, "push", {
    value: function (this: Socket, ...given: Parameters<typeof push>) {
      const [chunk] = given;
      if (Buffer.isBuffer(chunk)) seen(this, chunk);
      return Reflect.apply(push, this, given);
    },
    writable: true,
    configurable: true,
  });
}

function hookWrites(seen: (socket: Socket, bytes: Buffer) => void): void {
  const toBytes = (chunk: unknown, encoding: unknown): Buffer => {
    if (chunk instanceof Uint8Array) return Buffer.from(chunk);
    return Buffer.from(String(chunk), typeof encoding === "string" && Buffer.isEncoding(encoding) ? encoding : "utf8");
  };
  const { _write, _writev } = Socket.prototype;
  Object.defineProperty(Socket.prototype, "_write", {
    value: function (this: Socket, ...given: Parameters<typeof _write>) {
      seen(this, toBytes(given[0], given[1]));
      Reflect.apply(_write, this, given);
    },
  });
  if (_writev === undefined) throw new Error("sockets no longer write several chunks at once: look again");
  Object.defineProperty(Socket.prototype, "_writev", {
    value: function (this: Socket, ...given: Parameters<NonNullable<typeof _writev>>) {
      for (const { chunk, encoding } of given[0]) seen(this, toBytes(chunk, encoding));
      Reflect.apply(_writev, this, given);
    },
  });
}

const WITH_REQUEST: ReadonlySet<string> = new Set([
  "request",
  "upgrade",
  "connect",
  "checkContinue",
  "checkExpectation",
]);

/** Every request at an HTTP server, its body and trailers as they come, and bytes that were none. */
function hookRequests(seen: (server: object, bytes: Buffer, connection: object) => void): void {
  for (const { prototype } of [HttpServer, HttpsServer]) {
    const { emit } = prototype;
    Object.defineProperty(prototype, "emit", {
      value: function (this: HttpServer, ...event: Parameters<typeof emit>) {
        const [name, subject] = event;
        if (WITH_REQUEST.has(String(name))) recordRequest(subject, (bytes) => seen(this, bytes, subject));
        if (name === "clientError" && Buffer.isBuffer(subject.rawPacket)) seen(this, subject.rawPacket, subject);
        return Reflect.apply(emit, this, event);
      },
      writable: true,
      configurable: true,
    });
  }
}

function recordRequest(request: IncomingMessage, seen: (bytes: Buffer) => void): void {
  const toLines = (raw: readonly string[]): string =>
    raw.map((text, index) => (index % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join("");
  seen(Buffer.from(`${request.method} ${request.url} HTTP/1.1\r\n${toLines(request.rawHeaders)}\r\n`, "latin1"));
  const push = request.push;
  request.push = (chunk: unknown, encoding?: BufferEncoding) => {
    if (Buffer.isBuffer(chunk)) seen(chunk);
    if (chunk === null) seen(Buffer.from(toLines(request.rawTrailers), "latin1"));
    return push.call(request, chunk, encoding);
  };
}

/** Processes that end before the call does. */
function hookSynchronous(
  seen: (
    line: readonly string[],
    env: Readonly<Record<string, string | undefined>>,
    outputs: Readonly<Record<string, string>>,
  ) => void,
): void {
  const { spawnSync } = childProcess;
  const recorded = (command: string, args: readonly string[] = [], options = {}) => {
    const result = spawnSync(command, args, options);
    seen([command, ...args], envOf(options), {
      stdout: String(result.stdout ?? ""),
      stderr: String(result.stderr ?? ""),
    });
    return result;
  };
  Reflect.set(childProcess, "spawnSync", recorded);
  syncBuiltinESMExports();
}

function envOf(options: unknown): Readonly<Record<string, string>> {
  const env = typeof options === "object" && options !== null && "env" in options ? options.env : undefined;
  if (typeof env !== "object" || env === null) return {};
  return Object.fromEntries(Object.entries(env).map(([name, value]) => [name, String(value)]));
}
