// What only Node can do: servers behind commands, and processes in the shape of `child_process`.

import { once } from "node:events";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Client, connect, connectCommand, connectLocal, dialCommand, spawn } from "../../src/node.js";
import { serverProgram, TestServer } from "../support/server.js";

describe("a server behind a command", () => {
  test("works like any other, and ends with its client", async () => {
    const client = await connectLocal({ program: serverProgram() });
    const { stdoutText, proof } = await client.process.run({ argv: ["sh", "-c", "echo $PPID"] });
    expect(proof).toBe("checksum");
    await client.close();
    const pid = Number(stdoutText);
    const isAlive = (): boolean => {
      try {
        return process.kill(pid, 0);
      } catch {
        return false;
      }
    };
    while (isAlive()) await new Promise((resolve) => setImmediate(resolve));
  });

  test("that goes through another program is reached all the same", async () => {
    const argv = ["sh", "-c", 'exec "$0" --listen stdio', serverProgram()];
    await using client = await connectCommand(argv);
    const input = "x".repeat(2_000_000);
    expect((await client.process.run({ argv: ["cat"], input })).stdout.length).toBe(input.length);
  });

  test("slows down with its reader", async () => {
    await using client = await connectLocal({ program: serverProgram() });
    await using handle = await client.process.start({ argv: ["head", "-c", "50000000", "/dev/zero"] });
    let bytes = 0;
    for await (const event of handle) {
      if (event.type === "output") bytes += event.bytes.length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(bytes).toBe(50_000_000);
  });

  test.each([
    [["/no/such/program"], "connectFailed"],
    [[], "invalidArgument"],
    [["a\0b"], "invalidArgument"],
    [["sh", "-c", "echo oops >&2; exit 7"], "disconnected"],
    [["echo", "hello"], "protocol"],
    [["sh", "-c", "cat >/dev/null"], "timeout"],
  ] as const)("%j is none, and that is told", async (argv, kind) => {
    const attempt = connectCommand(argv, kind === "timeout" ? { initializeTimeoutMs: 50 } : {});
    await expect(attempt).rejects.toMatchObject({ kind });
    if (kind === "disconnected") await expect(attempt).rejects.toThrow(/exit code 7.*oops/);
  });
});

test("a command that is given up while it starts is ended", async () => {
  const running = (): number =>
    process.getActiveResourcesInfo().filter((name) => name === "ProcessWrap").length;
  const before = running();
  const stop = new AbortController();
  const dialled = dialCommand(["cat"])({ onMessage: () => {}, onEnd: () => {} }, stop.signal);
  expect(running()).toBe(before + 1);
  stop.abort("enough");
  await expect(dialled).rejects.toBe("enough");
  while (running() > before) await new Promise((resolve) => setImmediate(resolve));
});

describe("spawn", () => {
  let server: TestServer;
  let client: Client;

  beforeAll(async () => {
    server = await TestServer.start();
    client = await connect(server.url);
  });

  afterAll(async () => {
    await client?.close();
    await server?.[Symbol.asyncDispose]();
  });

  test("has streams and events like a child process", async () => {
    const child = spawn(client, "sh", ["-c", "cat; echo err >&2; exit 3"]);
    const events: string[] = [];
    for (const name of ["spawn", "exit", "close"] as const) child.on(name, () => events.push(name));
    child.stdin.end("in");
    const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
    expect([out, err]).toEqual(["in", "err\n"]);
    expect(child).toMatchObject({ exitCode: 3, signalCode: null, spawnfile: "sh" });
    expect(events).toEqual(["spawn", "exit", "close"]);
  });

  test("carries what is larger than every buffer, to a reader that is slow", async () => {
    const child = spawn(client, "cat");
    const written = new Promise((resolve) =>
      child.stdin.end(Buffer.alloc(5_000_000, "x"), () => resolve(true)),
    );
    let bytes = 0;
    for await (const chunk of child.stdout) {
      bytes += chunk.length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect([bytes, await written]).toEqual([5_000_000, true]);
  });

  test("sends signals by their names in Node", async () => {
    const child = spawn(client, "sleep", ["1000"]);
    await once(child, "spawn");
    expect(child.kill("SIGTERM")).toBe(true);
    expect(await once(child, "exit")).toEqual([null, "SIGTERM"]);
    expect(child.kill()).toBe(false);
  });

  test("tells a program that is not there as an error, as Node does, and once", async () => {
    const child = spawn(client, "/no/such", ["x"]);
    const errors: unknown[] = [];
    child.on("error", (error) => errors.push(error));
    expect(child.kill()).toBe(true);
    await once(child.stdout, "close");
    await new Promise((resolve) => setImmediate(resolve));
    expect(errors).toMatchObject([
      { kind: "notFound", code: "ENOENT", syscall: "spawn /no/such", path: "/no/such", spawnargs: ["x"] },
    ]);
  });

  test("tells the exit, and the close, whoever leaves a stream unread", async () => {
    const child = spawn(client, "sh", ["-c", "head -c 3000000 /dev/zero >&2; echo out; exit 3"]);
    const exited = once(child, "exit");
    const closed = once(child, "close");
    expect(await text(child.stdout)).toBe("out\n");
    expect([await exited, await closed]).toEqual([
      [3, null],
      [3, null],
    ]);
  });

  test("leads streams to nowhere where that is asked for", async () => {
    const child = spawn(client, "sh", ["-c", "cat; echo out; echo err >&2"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const closed = once(child, "close");
    expect(await text(child.stdout)).toBe("out\n");
    expect(await closed).toEqual([0, null]);
    expect([child.stdin.destroyed, child.stderr.destroyed]).toEqual([true, true]);
  });

  test("says whether a process runs", async () => {
    const child = spawn(client, "cat");
    expect(child.kill(0)).toBe(true);
    expect(child.killed).toBe(false);
    child.stdin.end();
    await once(child, "close");
    expect(child.kill(0)).toBe(false);
  });

  test("runs a shell where that is asked for", async () => {
    const child = spawn(client, "echo $((1 + 1))", [], { shell: true });
    expect(await text(child.stdout)).toBe("2\n");
  });

  test("ends what is aborted, and says so", async () => {
    const stop = new AbortController();
    const child = spawn(client, "sleep", ["1000"], { signal: stop.signal });
    await once(child, "spawn");
    const told = new Promise((resolve) => child.once("error", resolve));
    const exited = new Promise((resolve) => child.once("exit", (...how) => resolve(how)));
    stop.abort("enough");
    expect(await told).toMatchObject({ name: "AbortError", code: "ABORT_ERR", cause: "enough" });
    expect(await exited).toEqual([null, "SIGKILL"]);
  });

  test("starts nothing that was aborted before", async () => {
    const child = spawn(client, "sleep", ["1000"], { signal: AbortSignal.abort("before") });
    const told = new Promise((resolve) => child.once("error", resolve));
    expect(await told).toMatchObject({ name: "AbortError", cause: "before" });
  });
});
