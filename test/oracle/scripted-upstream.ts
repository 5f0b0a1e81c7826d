import { once } from "node:events";
import { createServer, type Socket } from "node:net";

/** What an upstream does with one request. */
export interface Script {
  /** The bytes of its answer, a write each. */
  readonly writes: readonly string[];
  readonly ending: "keep" | "close" | "reset";
  /** Answers as soon as it has the head. */
  readonly early?: boolean;
  /** Ends a connection that has carried a request before, without a byte. */
  readonly closesUsed?: boolean;
}

/** One request as it came, its body decoded. */
export interface Heard {
  readonly method: string;
  readonly framing: string;
  readonly body: string;
}

/** An upstream over TCP that plays scripts by the last part of a target. */
export interface ScriptedUpstream {
  readonly url: string;
  /** Sets the script of the next request; gives its target. */
  readonly script: (script: Script) => string;
  readonly heardAt: (target: string) => readonly Heard[];
  readonly close: () => Promise<void>;
}

export async function startScriptedUpstream(): Promise<ScriptedUpstream> {
  const scripts = new Map<string, Script>();
  const heard = new Map<string, Heard[]>();
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    // A forwarder that ends its side wants no more.
    socket.on("end", () => socket.destroy());
    serve(socket, scripts, heard);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const bound = server.address();
  if (typeof bound !== "object" || bound === null) throw new Error("the upstream has no address");
  let count = 0;
  return {
    url: `http://127.0.0.1:${bound.port}`,
    script: (script) => {
      count += 1;
      scripts.set(`/${count}`, script);
      return `/${count}`;
    },
    heardAt: (target) => heard.get(target) ?? [],
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

function serve(socket: Socket, scripts: ReadonlyMap<string, Script>, heard: Map<string, Heard[]>): void {
  let unread = "";
  let served = 0;
  let begun: string | undefined;
  socket.on("data", (chunk: Buffer) => {
    unread += chunk.toString("latin1");
    for (;;) {
      const headEnd = unread.indexOf("\r\n\r\n");
      if (headEnd === -1) return;
      const head = unread.slice(0, headEnd);
      const [method = "", target = ""] = head.split(" ", 2);
      const script = scripts.get(target);
      if (script === undefined) throw new Error(`no script for ${target}`);
      if (script.closesUsed === true && served > 0) {
        socket.destroy();
        return;
      }
      if (script.early === true && begun !== target) {
        begun = target;
        void play(socket, script);
      }
      const body = readBody(head, unread.slice(headEnd + 4));
      if (body === undefined) return;
      unread = body.rest;
      served += 1;
      heard.set(target, [...(heard.get(target) ?? []), { method, framing: body.framing, body: body.text }]);
      if (script.early !== true) void play(socket, script);
    }
  });
}

async function play(socket: Socket, { writes, ending }: Script): Promise<void> {
  for (const bytes of writes) {
    if (socket.destroyed) return;
    socket.write(bytes, "latin1");
    // The other side is in this process: it reads what came before the next write does.
    if (writes.length > 1) await new Promise(setImmediate);
  }
  if (ending === "close") socket.end();
  if (ending === "reset") socket.resetAndDestroy();
}

/** The body a request's head announces, once it is whole. What it reads was framed by a forwarder. */
function readBody(head: string, text: string): { framing: string; text: string; rest: string } | undefined {
  const [, length] = /\r\ncontent-length: (\d+)/i.exec(head) ?? [];
  if (length !== undefined) {
    const end = Number(length);
    return text.length < end ? undefined : { framing: length, text: text.slice(0, end), rest: text.slice(end) };
  }
  if (!/\r\ntransfer-encoding: chunked/i.test(head)) return { framing: "none", text: "", rest: text };
  let body = "";
  for (let at = 0; ; ) {
    const [line, size = ""] = /^([0-9a-f]+)\r\n/i.exec(text.slice(at)) ?? [];
    if (line === undefined) return undefined;
    const bytes = Number.parseInt(size, 16);
    const end = at + line.length + bytes;
    if (text.length < end + 2) return undefined;
    body += text.slice(at + line.length, end);
    at = end + 2;
    if (bytes === 0) return { framing: "chunked", text: body, rest: text.slice(at) };
  }
}
