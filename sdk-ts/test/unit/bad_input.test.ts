// Whatever is wrong with an address, a server or a call: a typed error that says what to do, and nothing left behind.

import { getEventListeners } from "node:events";
import { afterEach, expect, test } from "vitest";
import { type ConnectOptions, connect, type ExecErrorKind, isExecError } from "../../src/index.js";
import { initialized, tcpServer, webSocketServer } from "../support/odd_server.js";

const unhandled: unknown[] = [];
process.on("unhandledRejection", (reason) => unhandled.push(reason));

afterEach(async () => {
  // Rejections are told behind the microtasks that make them.
  await new Promise((resolve) => setImmediate(resolve));
  expect(unhandled).toEqual([]);
});

async function fails(kind: ExecErrorKind, url: string, options: ConnectOptions = {}): Promise<void> {
  const error = await connect(url, options).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(error).toMatchObject({ name: "ExecError", kind });
  if (isExecError(error)) expect(error.message.length).toBeGreaterThan(10);
}

test.each(["", "nonsense", "http://127.0.0.1:1", "file:///x", "127.0.0.1:80"])(
  "%j is no address",
  async (url) => {
    await fails("invalidUrl", url);
  },
);

test("nobody listens", async () => {
  await using gone = await tcpServer(() => {});
  await gone[Symbol.asyncDispose]();
  await fails("connectFailed", gone.url);
});

test.each(["", "two words", "line\nend", "ümlaut"])("%j is no token", async (token) => {
  await fails("invalidArgument", "ws://127.0.0.1:1", { token });
});

test.each([
  ["401 Unauthorized", "unauthorized"],
  ["403 Forbidden", "forbidden"],
  ["404 Not Found", "notAServer"],
  ["200 OK", "notAServer"],
  ["503 Service Unavailable", "connectFailed"],
] as const)("a server that answers %s", async (status, kind) => {
  await using server = await tcpServer((socket) => {
    socket.once("data", () => socket.end(`HTTP/1.1 ${status}\r\ncontent-length: 5\r\n\r\nwords`));
  });
  await fails(kind, server.url);
});

test("a server that closes at once", async () => {
  await using server = await tcpServer((socket) => socket.destroy());
  await fails("connectFailed", server.url);
});

test("a server that speaks something else", async () => {
  await using server = await tcpServer((socket) => socket.end("SSH-2.0-OpenSSH_9.7\r\n"));
  await fails("connectFailed", server.url);
});

test("a server that accepts and never answers the upgrade", async () => {
  await using server = await tcpServer(() => {});
  await fails("timeout", server.url, { connectTimeoutMs: 50 });
});

test("a server that never answers initialize", async () => {
  await using server = await webSocketServer(() => {});
  await fails("timeout", server.url, { initializeTimeoutMs: 50 });
});

test("a server that closes instead of answering initialize", async () => {
  await using server = await webSocketServer((socket) => socket.on("message", () => socket.close()));
  await fails("disconnected", server.url);
});

test.each(["garbage", "[]", '{"id":1}', '{"id":1,"result":{}}', '{"id":1,"result":null}'])(
  "a server that answers %s",
  async (text) => {
    await using server = await webSocketServer((socket) => socket.on("message", () => socket.send(text)));
    await fails("protocol", server.url);
  },
);

test("a server that sends bytes which nobody asked for", async () => {
  await using server = await webSocketServer((socket) => socket.send(Buffer.from([1, 2, 3])));
  await fails("protocol", server.url);
});

test("a server that refuses a session", async () => {
  await using server = await webSocketServer((socket) => {
    socket.on("message", () => socket.send('{"id":1,"error":{"code":-32603,"message":"full"}}'));
  });
  await fails("refused", server.url);
});

test("an output that can't be read fails the client, and says why", async () => {
  await using server = await webSocketServer((socket) => {
    initialized(socket, {}, ({ method }) => {
      if (method === "process/start") {
        socket.send(
          '{"method":"process/output","params":{"processId":"p","seq":1,"stream":"stdout","chunk":"?"}}',
        );
      }
    });
  });
  await using client = await connect(server.url);
  const run = client.process.run({ argv: ["true"], processId: "p" });
  await expect(run).rejects.toMatchObject({ kind: "protocol" });
  expect(client.state.status).toBe("failed");
});

test.each([
  ["list", "processList"],
  ["resize", "processResize"],
  ["closeStdin", "processStdinClose"],
  ["signal", "processSignals"],
  ["grace", "processTerminateGrace"],
  ["output", "outputBudget"],
  ["timeout", "processTimeout"],
  ["limits", "processLimits"],
  ["append", "fsExtended"],
  ["watch", "fsWatch"],
  ["search", "fsSearch"],
] as const)("%s needs %s, which a server may lack", async (what, flag) => {
  await using server = await webSocketServer((socket) => {
    initialized(socket, {}, ({ id }) => {
      if (id !== undefined) socket.send(JSON.stringify({ id, result: { processId: "p" } }));
    });
  });
  await using client = await connect(server.url);
  const handle = await client.process.start({ argv: ["x"] });
  const attempts: Record<typeof what, () => Promise<unknown>> = {
    list: () => client.process.list(),
    resize: () => handle.resize({ rows: 1, cols: 1 }),
    closeStdin: () => handle.closeStdin(),
    signal: () => handle.signal("kill"),
    grace: () => handle.terminate({ graceMs: 1 }),
    output: () => client.process.start({ argv: ["x"], output: { retainBytes: 1 } }),
    timeout: () => client.process.start({ argv: ["x"], timeoutMs: 1 }),
    limits: () => client.process.start({ argv: ["x"], limits: { processes: 1 } }),
    append: () => client.fs.append("/x", "y"),
    watch: () => client.fs.watch("/").next(),
    search: () => client.fs.search("/", "x").next(),
  };
  const outcome = attempts[what]();
  await expect(outcome).rejects.toMatchObject({
    kind: "unsupported",
    message: expect.stringContaining(flag),
  });
  handle.detach();
});

test("an aborted signal rejects every wait with its reason", async () => {
  await using silent = await tcpServer(() => {});
  const flags = [
    "processList",
    "processStdinClose",
    "processResize",
    "processSignals",
    "sessionTakeover",
    ...["fsExtended", "fsTransfer", "fsSearch", "fsWatch", "fsWatchMissing"],
  ];
  await using server = await webSocketServer((socket) =>
    initialized(socket, Object.fromEntries(flags.map((flag) => [flag, true])), ({ id, method }) => {
      // A process has to be there to be waited for; nothing else is answered.
      if (method === "process/start") socket.send(JSON.stringify({ id, result: { processId: "held" } }));
    }),
  );
  await using client = await connect(server.url);
  await using unanswering = await webSocketServer((socket) => initialized(socket, {}, () => {}));
  await using starting = await connect(unanswering.url);
  const handle = await client.process.start({ argv: ["x"], stdin: "pipe", processId: "held" });
  const aborted = { signal: AbortSignal.abort("before") };
  const waits: Array<(options: { signal: AbortSignal }) => Promise<unknown>> = [
    (options) => connect(silent.url, options),
    (options) => client.ping(options),
    (options) => starting.process.start({ argv: ["x"] }, options),
    (options) => starting.process.run({ argv: ["x"] }, options),
    (options) => handle.events(options).next(),
    (options) => handle.lines(options).next(),
    (options) => handle.output(options),
    (options) => handle.write("x", options),
    (options) => handle.closeStdin(options),
    (options) => handle.resize({ rows: 1, cols: 1 }, options),
    (options) => handle.signal("interrupt", options),
    (options) => handle.terminate(options),
    (options) => client.process.list(options),
    (options) => client.process.attach("p", options),
    (options) => client.fs.readFile("/x", options),
    (options) => client.fs.writeFile("/x", "y", options),
    (options) => client.fs.writeRange("/x", 0, "y", options),
    (options) => client.fs.digest("/x", options),
    (options) => client.fs.listDirectory("/x", options).next(),
    (options) => client.fs.glob("/x", "*", options).next(),
    (options) => client.fs.search("/x", "y", options).next(),
    (options) => client.fs.watch("/x", options).next(),
    (options) => client.fs.waitFor(["/x"], options),
    (options) => client.fs.open("/x", "read", options),
    (options) => client.sessions.takeOver(options),
    (options) => client.http.fetch("http://x/", options),
  ];
  for (const wait of waits) {
    await expect(wait(aborted)).rejects.toBe("before");
    const stop = new AbortController();
    const waiting = wait({ signal: stop.signal });
    setImmediate(() => stop.abort("meanwhile"));
    await expect(waiting).rejects.toBe("meanwhile");
    // Nothing waits on in there.
    expect(getEventListeners(stop.signal, "abort")).toEqual([]);
  }
  handle.detach();
});

test("a client that was closed says so, and closing again is fine", async () => {
  await using server = await webSocketServer((socket) => initialized(socket, {}, () => {}));
  const client = await connect(server.url);
  const waiting = client.ping();
  await client.close();
  await client.close();
  await expect(waiting).rejects.toMatchObject({ kind: "closed" });
  await expect(client.ping()).rejects.toMatchObject({ kind: "closed" });
  await expect(client.process.start({ argv: ["x"] })).rejects.toMatchObject({ kind: "closed" });
  await expect(client.process.attach("x")).rejects.toMatchObject({ kind: "closed" });
});

test("what is no path, argument or position is refused before it is sent", async () => {
  await using server = await webSocketServer((socket) => initialized(socket, {}, () => {}));
  await using client = await connect(server.url);
  await expect(client.fs.readFile("a\0b")).rejects.toMatchObject({ kind: "invalidArgument" });
  await expect(client.process.start({ argv: [] })).rejects.toMatchObject({ kind: "invalidArgument" });
  await expect(client.http.fetch("ftp://x/")).rejects.toMatchObject({ kind: "invalidUrl" });
  await expect(client.http.fetch("nonsense")).rejects.toMatchObject({ kind: "invalidUrl" });
});
