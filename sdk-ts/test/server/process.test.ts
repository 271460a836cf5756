// Processes, as users of the library see them, on the real server.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Client, connect, type ProcessEvent, type SandboxContext } from "../../src/index.js";
import { all } from "../support/collect.js";
import { ended } from "../support/ended.js";
import { TestServer } from "../support/server.js";

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

function sh(script: string) {
  return { argv: ["sh", "-c", script] };
}

describe("run", () => {
  test("gives output, exit and the proof that it is everything", async () => {
    const output = await client.process.run(sh("echo out; echo err >&2; exit 3"));
    expect(output).toMatchObject({
      stdoutText: "out\n",
      stderrText: "err\n",
      exitCode: 3,
      reason: "exited",
      proof: "checksum",
      gaps: [],
    });
  });

  test("tells what a sandbox kept it from", async (context) => {
    const sandbox: SandboxContext = {
      permissions: {
        type: "managed",
        file_system: {
          type: "restricted",
          entries: [{ path: { type: "special", value: { kind: "root" } }, access: "read" }],
        },
        network: "restricted",
      },
      windowsSandboxLevel: "disabled",
    };
    const denied = client.process.run({ ...sh("echo x > /nowhere-to-write; exit 4"), sandbox });
    const output = await denied.catch((error: Error) => {
      if (!error.message.includes("cannot be enforced on this executor")) throw error;
      return context.skip(error.message);
    });
    expect(output).toMatchObject({ exitCode: 4, sandboxDenied: true });
    // Where the kernel can't tell, there is no list.
    if (output.denials !== undefined) {
      expect(output.denials).toMatchObject([{ path: "file:///nowhere-to-write", rule: "read /" }]);
    }
  });

  test("writes input and ends it", async () => {
    const input = "x".repeat(3_000_001);
    const output = await client.process.run({ argv: ["cat"], input });
    expect(output.stdout.length).toBe(input.length);
    expect((await client.process.run({ argv: ["cat"], input: "" })).stdout.length).toBe(0);
  });

  test("does not mind a process that does not read its input", async () => {
    const output = await client.process.run({ argv: ["true"], input: "x".repeat(100_000) });
    expect(output.exitCode).toBe(0);
  });

  test("takes one round trip", async () => {
    const { connectWith } = await import("../../src/index.js");
    const { dialWebSocket } = await import("../../src/transport/websocket-node.js");
    const said: string[] = [];
    const dial = dialWebSocket({ url: new URL(server.url), token: undefined, WebSocket: undefined });
    const counting = await connectWith(async (events, signal) => {
      const transport = await dial(events, signal);
      const send = (text: string): void => {
        said.push(JSON.parse(text).method);
        transport.send(text);
      };
      return { ...transport, send };
    });
    said.length = 0;
    await counting.process.run(sh("echo hi"));
    expect(said).toEqual(["process/start"]);
    await counting.close();
  });

  test("tells each event of its own, in order, also where several come in one message", async () => {
    const { connectWith } = await import("../../src/index.js");
    const { dialWebSocket } = await import("../../src/transport/websocket-node.js");
    let packs = 0;
    const dial = dialWebSocket({ url: new URL(server.url), token: undefined, WebSocket: undefined });
    await using packing = await connectWith(
      ({ onMessage, onEnd }, signal) => {
        const count = (message: string | Uint8Array<ArrayBuffer>): void => {
          if (typeof message !== "string" && message[0] === 4) packs += 1;
          onMessage(message);
        };
        return dial({ onMessage: count, onEnd }, signal);
      },
      { outputPackingMs: 50 },
    );
    expect(packing.supports("outputPacking")).toBe(true);
    await using process = await packing.process.start(sh("while :; do echo line; sleep 0.001; done"));
    // As long as it takes: whoever is busy elsewhere may read many lines at once.
    let next = 1;
    for await (const event of process) {
      expect(event).toMatchObject({ type: "output", stream: "stdout", seq: next });
      next += 1;
      if (packs >= 3 && next > 20) break;
    }
    const whole = await packing.process.run(sh("for i in 1 2 3 4 5; do echo $i; sleep 0.001; done"));
    expect(whole).toMatchObject({ stdoutText: "1\n2\n3\n4\n5\n", exitCode: 0, proof: "checksum" });
  });

  test("refuses more output than was asked for, and ends the process", async () => {
    const endless = client.process.run({ argv: ["yes"], processId: "endless", maxBytes: 100_000 });
    await expect(endless).rejects.toMatchObject({ kind: "outputTooLarge" });
    await ended(client, "endless");
  });

  test("says what is wrong with a program or folder that is not there", async () => {
    await expect(client.process.run({ argv: ["/no/such"] })).rejects.toMatchObject({
      name: "ExecError",
      kind: "notFound",
    });
    await expect(client.process.run({ ...sh("true"), cwd: "/no/such" })).rejects.toMatchObject({
      kind: "notFound",
    });
    await expect(client.process.run({ argv: [] })).rejects.toMatchObject({ kind: "invalidArgument" });
  });

  test("ends the process when it is aborted, and rejects with the reason", async () => {
    const stop = new AbortController();
    const running = client.process.run(
      { argv: ["sleep", "1000"], processId: "aborted" },
      { signal: stop.signal },
    );
    const reason = new Error("enough");
    const states = async () =>
      (await client.process.list()).find((one) => one.processId === "aborted")?.state;
    while ((await states()) !== "running");
    stop.abort(reason);
    await expect(running).rejects.toBe(reason);
    await ended(client, "aborted");
  });
});

describe("a handle", () => {
  test("is an iterable of events, in order, to the close", async () => {
    await using process = await client.process.start(sh("echo a; exit 5"));
    const seen: ProcessEvent[] = [];
    for await (const event of process) seen.push(event);
    expect(seen.map(({ type, seq }) => [type, seq])).toEqual([
      ["output", 1],
      ["exited", 2],
      ["closed", 3],
    ]);
    expect(await process.exited).toMatchObject({ exitCode: 5 });
  });

  test("has streams that can be read together or one after the other", async () => {
    await using process = await client.process.start(sh("echo out; echo err >&2"));
    expect(await new Response(process.stderr).text()).toBe("err\n");
    expect(await new Response(process.stdout).text()).toBe("out\n");
  });

  test("gives lines, whatever pieces they come in", async () => {
    await using process = await client.process.start(
      sh("printf 'a\\r\\nb'; sleep 0.05; printf 'b\\n\\nlast'"),
    );
    expect(await all(process.lines())).toEqual(["a", "bb", "", "last"]);
  });

  test("writes, and ends stdin", async () => {
    await using process = await client.process.start({ argv: ["cat"], stdin: "pipe" });
    const output = process.output();
    await Promise.all([process.write("one "), process.write("two "), process.write("three")]);
    await process.closeStdin();
    expect((await output).stdoutText).toBe("one two three");
    await expect(process.write("late")).rejects.toMatchObject({ kind: "stdinClosed" });
  });

  test("has stdin as a stream", async () => {
    await using process = await client.process.start({ argv: ["cat"], stdin: "pipe" });
    const output = process.output();
    await new Response("streamed").body!.pipeTo(process.stdin as WritableStream<Uint8Array>);
    expect((await output).stdoutText).toBe("streamed");
  });

  test("runs on a terminal that can be resized", async () => {
    await using process = await client.process.start({
      ...sh("stty size; read x; stty size"),
      tty: { rows: 10, cols: 20 },
    });
    const lines = process.lines();
    expect((await lines.next()).value).toBe("10 20");
    await process.resize({ rows: 30, cols: 40 });
    await process.write("\n");
    const rest = await all(lines);
    expect(rest).toContain("30 40");
  });

  test("sends signals", async () => {
    await using process = await client.process.start(
      sh("trap 'echo got; exit 9' USR1; echo ready; while :; do sleep 0.01; done"),
    );
    const lines = process.lines();
    await lines.next();
    await process.signal("usr1");
    expect((await lines.next()).value).toBe("got");
    expect(await process.exited).toMatchObject({ exitCode: 9 });
  });

  test("ends the process with every descendant, and says so", async () => {
    await using process = await client.process.start(sh("setsid sleep 1000 & sleep 1000"));
    expect(await process.terminate()).toEqual({ running: true, survivors: 0 });
    expect(await process.exited).toMatchObject({ exitCode: 137, reason: "terminated" });
    expect(await process.terminate()).toMatchObject({ running: false });
  });

  test("ends the process when it is disposed, and is of no use afterwards", async () => {
    const process = await client.process.start({ argv: ["sleep", "1000"], processId: "disposed" });
    await process[Symbol.asyncDispose]();
    await process[Symbol.asyncDispose]();
    await ended(client, "disposed");
    expect(() => process.events()).toThrow(expect.objectContaining({ kind: "disposed" }));
    await expect(process.write("x")).rejects.toMatchObject({ kind: "disposed" });
  });

  test("that was detached leaves the process to be found again, with everything it said", async () => {
    const process = await client.process.start({ argv: ["sleep", "1000"] });
    const other = await client.process.start({ ...sh("echo early; read x; echo $x"), stdin: "pipe" });
    const exited = process.exited;
    process.detach();
    other.detach();
    await expect(exited).rejects.toMatchObject({ kind: "disposed" });
    await using again = await client.process.attach(other.id);
    const output = again.output();
    await again.write("late\n");
    expect((await output).stdoutText).toBe("early\nlate\n");
    await expect(client.process.attach("nobody")).rejects.toMatchObject({ kind: "unknownProcess" });
  });

  test("resumes behind an event", async () => {
    await using process = await client.process.start(sh("echo a; sleep 0.05; echo b >&2"));
    await process.output();
    const seen = await all(process.events({ after: 1 }));
    expect(seen.map(({ type }) => type)).toEqual(["output", "exited", "closed"]);
    expect(seen.at(-1)).toMatchObject({ proof: "numbering" });
  });

  test("ends an iteration that is aborted with the reason, and the process runs on", async () => {
    await using process = await client.process.start({ argv: ["sleep", "1000"] });
    const stop = new AbortController();
    const next = process.events({ signal: stop.signal }).next();
    stop.abort("enough");
    await expect(next).rejects.toBe("enough");
    expect((await client.process.list()).find((one) => one.processId === process.id)?.state).toBe("running");
  });

  test("keeps a second process of its id out", async () => {
    await using process = await client.process.start({ argv: ["sleep", "1000"] });
    const again = client.process.start({ argv: ["true"], processId: process.id });
    await expect(again).rejects.toMatchObject({ kind: "processExists" });
  });

  test("times out", async () => {
    const output = await client.process.run({ argv: ["sleep", "1000"], timeoutMs: 50 });
    expect(output).toMatchObject({ reason: "timedOut", exitCode: 137 });
  });
});

test("a slow reader misses nothing", async () => {
  const megabytes = 48;
  await using process = await client.process.start(sh(`head -c ${megabytes << 20} /dev/zero`));
  let bytes = 0;
  let proof: string | undefined;
  for await (const event of process) {
    if (event.type === "output") bytes += event.bytes.length;
    if (event.type === "closed") proof = event.proof;
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect([bytes, proof]).toEqual([megabytes << 20, "checksum"]);
});
