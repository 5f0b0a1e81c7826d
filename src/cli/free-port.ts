import { createServer } from "node:net";

const LOOPBACK = "127.0.0.1";
// Past so many taken ports something else is wrong, and any free one will do.
const MAX_TRIED = 50;

/** A port of the loopback address that nobody listens on: the preferred one or the next that is free. */
export async function findFreePort(preferred: number, taken: ReadonlySet<number>): Promise<number> {
  for (let port = preferred; port < preferred + MAX_TRIED; port += 1) {
    if (!taken.has(port) && (await tryPort(port)) !== undefined) return port;
  }
  const any = await tryPort(0);
  if (any === undefined) throw new Error("no port of the loopback address can be listened on");
  return any;
}

/** The port, once it was listened on and let go again; undefined when it cannot be had. */
function tryPort(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen({ port, host: LOOPBACK, exclusive: true }, () => {
      const address = server.address();
      const bound = typeof address === "object" && address !== null ? address.port : undefined;
      server.close(() => resolve(bound));
    });
  });
}
