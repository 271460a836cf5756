// Whatever is wrong with an address, a server or a call: a typed error that says what to do, and nothing left behind.

import { getEventListeners } from "node:events";
import { afterEach, expect, test } from "vitest";
import {
  type Client,
  type ConnectOptions,
  connect,
  Environments,
  type ExecErrorKind,
  isExecError,
} from "../../src/index.js";
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

/** Flags of a server that can do everything that is asked of it here, and answers nothing of it. */
const EVERYTHING = [
  "processList",
  "processStdinClose",
  "processResize",
  "processSignals",
  "sessionTakeover",
  "observers",
  ...["fsExtended", "fsTransfer", "fsSearch", "fsWatch", "fsWatchMissing"],
];

/** Everything that can be called of an object and waits: its methods, but for those that only return something to wait on. */
function methodsOf(object: object, others: readonly string[] = []): readonly string[] {
  return Object.entries(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(object)))
    .filter(
      ([name, { value }]) => name !== "constructor" && typeof value === "function" && !others.includes(name),
    )
    .map(([name]) => name)
    .sort();
}

type Wait = (options: { readonly signal: AbortSignal }) => Promise<unknown>;

test("an aborted signal rejects every wait with its reason", async () => {
  await using silent = await tcpServer(() => {});
  await using server = await webSocketServer((socket) =>
    initialized(socket, Object.fromEntries(EVERYTHING.map((flag) => [flag, true])), ({ id, method }) => {
      // A process, and a file, have to be there to be waited for; nothing else is answered.
      if (method === "process/start") socket.send(JSON.stringify({ id, result: { processId: "held" } }));
    }),
  );
  await using opens = await webSocketServer((socket) =>
    initialized(socket, {}, ({ id, method }) => {
      if (method === "fs/open") socket.send(JSON.stringify({ id, result: { handleId: "f" } }));
    }),
  );
  await using client = await connect(server.url);
  await using unanswering = await webSocketServer((socket) => initialized(socket, {}, () => {}));
  await using starting = await connect(unanswering.url);
  await using opening = await connect(opens.url);
  const place = (): Promise<Client> => new Promise(() => {});
  const environments = new Environments({ never: place });
  const handle = await client.process.start({ argv: ["x"], stdin: "pipe", processId: "held" });
  const file = await opening.fs.open("/x");
  const { fs } = client;
  const onClient: Record<string, Wait> = { ping: (options) => client.ping(options) };
  const onProcesses: Record<string, Wait> = {
    start: (options) => starting.process.start({ argv: ["x"] }, options),
    run: (options) => starting.process.run({ argv: ["x"] }, options),
    list: (options) => client.process.list(options),
    attach: (options) => client.process.attach("p", options),
  };
  const onHandle: Record<string, Wait> = {
    events: (options) => handle.events(options).next(),
    lines: (options) => handle.lines(options).next(),
    output: (options) => handle.output(options),
    write: (options) => handle.write("x", options),
    closeStdin: (options) => handle.closeStdin(options),
    resize: (options) => handle.resize({ rows: 1, cols: 1 }, options),
    signal: (options) => handle.signal("interrupt", options),
    terminate: (options) => handle.terminate(options),
  };
  const onFiles: Record<string, Wait> = {
    readFile: (options) => fs.readFile("/x", options),
    readText: (options) => fs.readText("/x", options),
    writeFile: (options) => fs.writeFile("/x", "y", options),
    append: (options) => fs.append("/x", "y", options),
    readRange: (options) => fs.readRange("/x", 0, 1, options),
    writeRange: (options) => fs.writeRange("/x", 0, "y", options),
    digest: (options) => fs.digest("/x", options),
    open: (options) => fs.open("/x", "read", options),
    readStream: (options) => fs.readStream("/x", options).getReader().read(),
    writeStream: (options) => fs.writeStream("/x", options).getWriter().write("y"),
    stat: (options) => fs.stat("/x", options),
    statMany: (options) => fs.statMany(["/x"], options),
    exists: (options) => fs.exists("/x", options),
    realPath: (options) => fs.realPath("/x", options),
    readLink: (options) => fs.readLink("/x", options),
    createLink: (options) => fs.createLink("/x", "y", options),
    listDirectory: (options) => fs.listDirectory("/x", options).next(),
    readDirectory: (options) => fs.readDirectory("/x", options),
    walk: (options) => fs.walk("/x", options),
    createDirectory: (options) => fs.createDirectory("/x", options),
    remove: (options) => fs.remove("/x", options),
    copy: (options) => fs.copy("/x", "/y", options),
    rename: (options) => fs.rename("/x", "/y", options),
    setPermissions: (options) => fs.setPermissions("/x", 0o644, options),
    glob: (options) => fs.glob("/x", "*", options).next(),
    search: (options) => fs.search("/x", "y", options).next(),
    watch: (options) => fs.watch("/x", options).next(),
    waitFor: (options) => fs.waitFor(["/x"], options),
  };
  const onFile: Record<string, Wait> = {
    read: (options) => file.read(0, 1, options),
    write: (options) => file.write(0, new Uint8Array(1), options),
  };
  const onSessions: Record<string, Wait> = {
    takeOver: (options) => client.sessions.takeOver(options),
    observe: (options) => client.sessions.observe(options),
  };
  const others: Record<string, Wait> = {
    connect: (options) => connect(silent.url, options),
    fetch: (options) => client.http.fetch("http://x/", options),
    environment: (options) => environments.get("never", options),
    readStream: (options) => opening.fs.readStream("/x", options).getReader().read(),
  };
  // What is added to any of them has to be tried here, too.
  expect(Object.keys(onClient)).toEqual(methodsOf(client, ["close", "supports"]));
  expect(Object.keys(onProcesses).sort()).toEqual(methodsOf(client.process));
  expect(Object.keys(onHandle).sort()).toEqual(methodsOf(handle, ["detach"]));
  expect(Object.keys(onFiles).sort()).toEqual(methodsOf(fs));
  expect(Object.keys(onFile).sort()).toEqual(methodsOf(file, ["close"]));
  expect(Object.keys(onSessions).sort()).toEqual(methodsOf(client.sessions));
  expect(["fetch"]).toEqual(methodsOf(client.http));
  for (const waits of [onClient, onProcesses, onHandle, onFiles, onFile, onSessions, others]) {
    for (const [name, wait] of Object.entries(waits)) {
      await expect(wait({ signal: AbortSignal.abort("before") }), name).rejects.toBe("before");
      const stop = new AbortController();
      const waiting = wait({ signal: stop.signal });
      setImmediate(() => stop.abort("meanwhile"));
      await expect(waiting, name).rejects.toBe("meanwhile");
      // Nothing waits on in there.
      expect([name, ...getEventListeners(stop.signal, "abort")]).toEqual([name]);
    }
  }
  handle.detach();
});

test.each(["disposed", "detached"] as const)(
  "a handle that was %s says so, whatever is asked of it",
  async (how) => {
    await using server = await webSocketServer((socket) => {
      initialized(socket, Object.fromEntries(EVERYTHING.map((flag) => [flag, true])), ({ id }) => {
        if (id !== undefined) socket.send(JSON.stringify({ id, result: { processId: "p" } }));
      });
    });
    await using client = await connect(server.url);
    const handle = await client.process.start({ argv: ["x"], stdin: "pipe" });
    if (how === "detached") handle.detach();
    else await handle[Symbol.asyncDispose]();
    const uses: Record<string, () => unknown> = {
      events: () => handle.events(),
      lines: () => handle.lines(),
      output: () => handle.output(),
      write: () => handle.write("x"),
      closeStdin: () => handle.closeStdin(),
      resize: () => handle.resize({ rows: 1, cols: 1 }),
      signal: () => handle.signal("interrupt"),
      terminate: () => handle.terminate(),
    };
    expect(Object.keys(uses).sort()).toEqual(methodsOf(handle, ["detach"]));
    const streams = {
      stdout: () => handle.stdout.getReader().read(),
      stderr: () => handle.stderr.getReader().read(),
      stdin: () => handle.stdin.getWriter().write("x"),
      exited: () => handle.exited,
      loop: async () => {
        for await (const _event of handle) break;
      },
    };
    for (const [name, use] of Object.entries<() => unknown>({ ...uses, ...streams })) {
      const outcome = Promise.resolve().then(use);
      await expect(outcome, name).rejects.toMatchObject({ name: "ExecError", kind: "disposed" });
    }
    // Once more is fine.
    handle.detach();
    await handle[Symbol.asyncDispose]();
  },
);

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
