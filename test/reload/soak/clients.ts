import { Agent, type IncomingMessage, request as send } from "node:http";
import { WebSocket } from "ws";
import type { Head, Kind, Sent, Tracker } from "./tracker.ts";
import { WHOLE_STREAM } from "./upstream.ts";

/** Sends one request of a kind and reports what becomes of it; resolves when nothing more can come. */
export interface Clients {
  readonly send: (kind: Kind, credential: string, rolling: number | undefined) => Promise<void>;
  readonly close: () => void;
}

// No exchange of a soak lasts longer, whatever happens to it.
const DEADLINE_MS = 15_000;
// Long enough that a rolling key is revoked while its WebSocket is open.
const SOCKET_OPEN_MS = 5_000;
const BODY_BYTES = [1, 1_000, 70_000];

export function createClients(port: number, tracker: Tracker): Clients {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const target = { host: "127.0.0.1", port };
  let turn = 0;

  const exchange = (sent: Sent, credential: string): Promise<void> =>
    new Promise((resolve) => {
      const { requestId, kind } = sent;
      turn += 1;
      const body = kind === "post" ? Buffer.alloc(BODY_BYTES[turn % BODY_BYTES.length] ?? 1, "x") : undefined;
      const headers = { "x-api-key": credential, "x-request-id": requestId };
      const options = { ...target, agent, headers, method: kind === "post" ? "POST" : "GET", path: `/${kind}` };
      let over = false;
      const finish = (report: () => void): void => {
        if (over) return;
        over = true;
        clearTimeout(deadline);
        report();
        resolve();
      };
      const request = send(options, (response) => {
        tracker.answered(sent, headOf(response));
        let text = "";
        response.setEncoding("utf8").on("data", (piece: string) => {
          text += piece;
        });
        response.on("error", () => {});
        response.on("close", () =>
          finish(() =>
            response.complete
              ? tracker.completed(sent, wrongBody(sent, text, body?.length ?? 0))
              : tracker.cut(sent, "the answer was not whole"),
          ),
        );
      });
      const deadline = setTimeout(() => {
        finish(() => tracker.cut(sent, `no end within ${DEADLINE_MS} ms`));
        request.destroy();
      }, DEADLINE_MS);
      request.on("error", (error) => {
        // After the head, the answer's own end tells.
        if (sent.status === 0) finish(() => tracker.cut(sent, String(error)));
      });
      request.end(body);
    });

  const converse = (sent: Sent, credential: string): Promise<void> =>
    new Promise((resolve) => {
      const headers = { "x-api-key": credential, "x-request-id": sent.requestId };
      const socket = new WebSocket(`ws://127.0.0.1:${port}/socket`, { headers, handshakeTimeout: DEADLINE_MS });
      let closing = false;
      let refused = false;
      const timer = setTimeout(() => {
        closing = true;
        socket.close(1000);
      }, SOCKET_OPEN_MS);
      let failure = "";
      socket.on("error", (error) => {
        failure = String(error);
      });
      socket.on("unexpected-response", (request, response) => {
        refused = true;
        tracker.answered(sent, headOf(response));
        response.resume();
        request.destroy();
        socket.terminate();
      });
      socket.once("message", (data) => {
        const { main, keys } = JSON.parse(String(data));
        tracker.answered(sent, { status: 101, main: Number(main), keys: Number(keys) });
        socket.send("ping");
        socket.once("message", (echo) => {
          if (String(echo) !== "ping") tracker.problems.push(`${sent.requestId}: another echo, ${String(echo)}`);
        });
      });
      socket.on("close", (code) => {
        clearTimeout(timer);
        if (closing || refused) tracker.completed(sent);
        else tracker.cut(sent, `closed with ${code} ${failure}`);
        resolve();
      });
    });

  return {
    send: (kind, credential, rolling) => {
      const sent = tracker.begin(kind, rolling);
      return kind === "socket" ? converse(sent, credential) : exchange(sent, credential);
    },
    close: () => agent.destroy(),
  };
}

function headOf({ statusCode = 0, headers }: IncomingMessage): Head {
  return { status: statusCode, main: Number(headers["x-main"]), keys: Number(headers["x-keys"]) };
}

/** What is wrong with the body of an allowed answer, if anything. */
function wrongBody({ status, kind }: Sent, text: string, sentBytes: number): string | undefined {
  if (status !== 200) return undefined;
  const expected = kind === "stream" ? WHOLE_STREAM : String(sentBytes);
  return text === expected ? undefined : `answered with ${text.length} characters that are not the upstream's`;
}
