import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createServer, request } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer } from "node:net";
import { expect, test } from "vitest";
import { sha256Of } from "../e2e/harness.ts";
import { IN_VARIABLE, PRESENTED_ONLY, SECRET } from "./leaked.ts";

// Not run with the others: every test here passes, and the file must fail for what they let out.
const toAddress = (address: AddressInfo | string | null): number =>
  typeof address === "object" ? (address?.port ?? 0) : 0;

test("leaks on the outputs of a launched program", async () => {
  expect(sha256Of(SECRET)).toContain("sha256:");
  const text = `process.stdout.write("log line ${SECRET} ");process.stderr.write(encodeURIComponent("${SECRET}"))`;
  const child = spawn(process.execPath, ["-e", text.replaceAll(SECRET, '" + process.env.LEAK + "')], {
    env: { LEAK: SECRET },
  });
  child.stdout.resume();
  child.stderr.resume();
  expect(await once(child, "close")).toEqual([0, null]);
});

test("leaks on the output of a program that was waited for", () => {
  const program = "process.stdout.write(Buffer.from('x' + process.env.LEAK).toString('base64'))";
  expect(spawnSync(process.execPath, ["-e", program], { env: { LEAK: SECRET } }).status).toBe(0);
});

test("leaks in an answer, and to an HTTP upstream", async () => {
  const server = createServer((_, response) => response.end(`{"error":"no such key: ${PRESENTED_ONLY}"}`));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const asked = request({
    port: toAddress(server.address()),
    host: "127.0.0.1",
    headers: { authorization: `Bearer ${PRESENTED_ONLY}` },
  });
  asked.end();
  const [response] = await once(asked, "response");
  for await (const _ of response);
  server.close();
});

test("leaks to an upstream that reads bytes", async () => {
  const server = createTcpServer((socket) => socket.on("data", () => socket.end()));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const socket = connect(toAddress(server.address()), "127.0.0.1");
  socket.end(`X-Debug: ${Buffer.from(SECRET).toString("hex")}\r\n`);
  socket.resume();
  await once(socket, "close");
  server.close();
});

test("leaks a pepper that was handed over in a variable", async () => {
  const program = "process.stderr.write(process.env.SHOP_PEPPER)";
  const child = spawn(process.execPath, ["-e", program], { env: { SHOP_PEPPER: IN_VARIABLE } });
  child.stderr.resume();
  expect(await once(child, "close")).toEqual([0, null]);
});
