import { get } from "node:http";
import { describeFailure, type Probe } from "./health-probe.ts";

export type AdminAnswer =
  | { readonly kind: "answer"; readonly status: number; readonly body: unknown }
  | { readonly kind: "problem"; readonly problem: string };

// More than any answer of the admin port to these questions; what is longer is somebody else's.
const MAX_BODY_BYTES = 64 * 1024 ** 2;

/** Asks the admin port for a JSON document; whatever its status, it is the answer. */
export function askAdmin(
  { url, socketPath }: Probe,
  token: string | undefined,
  timeoutMs: number,
): Promise<AdminAnswer> {
  const where = socketPath === undefined ? url.href : `unix:${socketPath} ${url.pathname}`;
  return new Promise((resolve) => {
    const fail = (problem: string) => resolve({ kind: "problem", problem: `${where}${problem}` });
    const request = get(
      url,
      {
        agent: false,
        signal: AbortSignal.timeout(timeoutMs),
        ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
        ...(socketPath === undefined ? {} : { socketPath }),
      },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (piece: string) => {
          text += piece;
          if (text.length > MAX_BODY_BYTES) request.destroy(new Error("the answer is too long"));
        });
        response.on("end", () => resolve(toAnswer(response.statusCode ?? 0, text, where)));
        response.on("error", (error) => fail(`: ${describeFailure(error)}`));
      },
    );
    request.on("error", (error) => {
      fail(error.name === "AbortError" ? ` did not answer within ${timeoutMs} ms` : `: ${describeFailure(error)}`);
    });
  });
}

function toAnswer(status: number, text: string, where: string): AdminAnswer {
  try {
    return { kind: "answer", status, body: JSON.parse(text) };
  } catch {
    return { kind: "problem", problem: `${where} answered ${status} without JSON; is that the admin port?` };
  }
}
