import { createServer, type Server, type Socket } from "node:net";
import type { Reply } from "./case.ts";
import { type Head, type Message, readBody, readHead, valuesOf } from "./message-reader.ts";

/** One connection as the upstream saw it, byte by byte and message by message. */
export interface Connection {
  /** Everything received, a character a byte. */
  bytes: string;
  readonly messages: Message[];
  /** What came after a 101. */
  tunnel: string;
}

/** An upstream that believes every byte: whatever follows a message begins the next one. */
export interface RecordingUpstream {
  readonly port: number;
  readonly url: string;
  readonly connections: readonly Connection[];
  /** How requests that carry this tag in `X-Case` are answered. */
  readonly script: (tag: string, reply: Reply) => void;
  readonly close: () => Promise<void>;
}

const OK: Reply = { bytes: "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok" };
const SWITCHED: Reply = {
  bytes: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
};
const BAD: Reply = { bytes: "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", ending: "close" };

export async function startRecordingUpstream(): Promise<RecordingUpstream> {
  const connections: Connection[] = [];
  const replies = new Map<string, Reply>();
  const sockets = new Set<Socket>();
  const replyTo = (head: Head): Reply => {
    const scripted = replies.get(valuesOf(head.fields, "x-case")[0] ?? "");
    if (scripted !== undefined) return scripted;
    return valuesOf(head.fields, "upgrade").length > 0 ? SWITCHED : OK;
  };
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const connection: Connection = { bytes: "", messages: [], tunnel: "" };
    connections.push(connection);
    sockets.add(socket);
    const reader = createConnectionReader(socket, connection, replyTo);
    socket.setEncoding("latin1").on("data", (text) => reader.take(String(text)));
    // A client that stopped in the middle leaves a message that is not whole: it counts as one that arrived.
    const end = (): void => {
      reader.end();
      socket.end();
    };
    socket.on("end", end).on("error", end);
    socket.on("close", () => {
      reader.end();
      sockets.delete(socket);
    });
  });
  const port = await listen(server);
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    connections,
    script: (tag, reply) => void replies.set(tag, reply),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  if (typeof bound !== "object" || bound === null) throw new Error("the recording upstream has no address");
  return bound.port;
}

interface ConnectionReader {
  readonly take: (text: string) => void;
  readonly end: () => void;
}

function createConnectionReader(
  socket: Socket,
  connection: Connection,
  replyTo: (head: Head) => Reply,
): ConnectionReader {
  let rest = "";
  let head: Head | undefined;
  let answered = false;
  let mode: "messages" | "tunnel" | "deaf" = "messages";

  const answer = (reply: Reply): void => {
    if (!socket.writable) return;
    socket.write(reply.bytes, "latin1");
    if (reply.ending === undefined || reply.ending === "keep") return;
    // What arrives on a connection that is being closed was not taken: it may be sent again on another.
    mode = "deaf";
    if (reply.ending === "reset") socket.destroy();
    else socket.end();
  };
  const finish = (message: Pick<Message, "body" | "trailers" | "complete">, problem?: string): void => {
    if (head === undefined) return;
    const { method, target, fields } = head;
    const problems = problem === undefined ? head.problems : [...head.problems, problem];
    connection.messages.push({ method, target, fields, problems, ...message });
  };
  /** Reads what it can; false when it needs more bytes. */
  const step = (): boolean => {
    if (head === undefined) {
      head = readHead(rest);
      if (head === undefined) return false;
      rest = rest.slice(head.bodyAt);
      answered = false;
    }
    const reply = head.problems.length > 0 ? BAD : replyTo(head);
    const body = readBody(head.fields, rest);
    if (reply.early === true && !answered) {
      answered = true;
      answer(reply);
    }
    if (body.kind === "partial") return false;
    if (body.kind === "broken") {
      finish({ body: body.body, trailers: [], complete: false }, body.problem);
      mode = "deaf";
      answer(BAD);
    } else {
      finish({ body: body.body, trailers: body.trailers, complete: true });
      rest = rest.slice(body.endsAt);
      if (!answered) answer(reply);
      if (reply.bytes.startsWith("HTTP/1.1 101")) mode = "tunnel";
    }
    head = undefined;
    return mode === "messages";
  };
  return {
    take: (text) => {
      connection.bytes += text;
      rest += text;
      while (mode === "messages" && rest !== "" && step());
      if (mode === "tunnel") {
        connection.tunnel += rest;
        if (rest !== "") socket.write(`echo:${rest}`, "latin1");
        rest = "";
      }
    },
    end: () => {
      if (mode !== "messages") return;
      mode = "deaf";
      if (head !== undefined) {
        const body = readBody(head.fields, rest);
        finish({ body: body.body, trailers: [], complete: false });
      } else if (rest !== "") {
        head = {
          method: "",
          target: "",
          fields: [],
          problems: [`bytes that are no message: ${JSON.stringify(rest.slice(0, 80))}`],
          bodyAt: 0,
        };
        finish({ body: rest, trailers: [], complete: false });
      }
    },
  };
}
