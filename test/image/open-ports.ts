import { connect } from "node:net";

// Run by a test in a network namespace: prints as JSON which TCP ports of an address take a connection.
const [host = ""] = process.argv.slice(2);
const LAST_PORT = 65_535;
const AT_A_TIME = 256;
const ATTEMPT_MS = 5_000;

const open: number[] = [];
let next = 1;
await Promise.all(
  Array.from({ length: AT_A_TIME }, async () => {
    while (next <= LAST_PORT) {
      const port = next++;
      if (await takesConnection(port)) open.push(port);
    }
  }),
);
process.stdout.write(JSON.stringify(open.sort((one, other) => one - other)));

function takesConnection(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, timeout: ATTEMPT_MS });
    socket.once("connect", () => settle(true));
    socket.once("timeout", () => reject(new Error(`no answer from port ${port}, neither way`)));
    socket.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNREFUSED") settle(false);
      else reject(error);
    });
    const settle = (answer: boolean): void => {
      socket.destroy();
      resolve(answer);
    };
  });
}
