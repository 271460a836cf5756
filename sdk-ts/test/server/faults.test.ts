// Connections that are cut, half closed or go silent: nothing is lost, nothing is doubled, nothing runs twice.

import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DEFAULT_BOUNDS } from "../../src/core/limits.js";
import { type Client, type ConnectionState, type ConnectOptions, connect } from "../../src/index.js";
import { ended } from "../support/ended.js";
import { FaultyProxy } from "../support/proxy.js";
import { referenceProgram, TestServer } from "../support/server.js";

/** How many cuts the storm makes; `npm run test:storm` makes 1,000. */
const CUTS = Number(process.env["STORM_CUTS"] ?? 60);

let server: TestServer;
let proxy: FaultyProxy;
let client: Client;
let states: ConnectionState[];

async function begin(options: ConnectOptions = {}): Promise<void> {
  proxy = await FaultyProxy.start(server.port);
  states = [];
  const onState = (state: ConnectionState) => void states.push(state);
  client = await connect(proxy.url, { recoveryPauseMs: 5, ...options, onState });
}

beforeEach(async () => {
  server = await TestServer.start();
});

afterEach(async () => {
  await client?.close();
  await proxy?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

/** Counts from 1, one number a line, and as many on stderr. */
function counting(lines: number) {
  return {
    argv: ["sh", "-c", `i=0; while [ $i -lt ${lines} ]; do i=$((i+1)); echo $i; echo $i >&2; done`],
  };
}

function expected(lines: number): string {
  return Array.from({ length: lines }, (_, n) => `${n + 1}\n`).join("");
}

test("a connection that is cut in mid-output is replaced, and every byte comes once", async () => {
  await begin();
  await using handle = await client.process.start(counting(3000));
  const output = handle.output();
  proxy.cut();
  const { stdoutText, stderrText, proof } = await output;
  expect(stdoutText).toBe(expected(3000));
  expect(stderrText).toBe(expected(3000));
  expect(proof === "checksum" || proof === "length").toBe(true);
  await client.ping();
  expect(states[0]).toMatchObject({ status: "recovering" });
  expect(states.at(-1)).toMatchObject({ generation: 2 });
});

test(`${CUTS} cuts at any byte: 0 bytes lost, 0 doubled`, { timeout: 600_000 }, async () => {
  await begin();
  let seed = 1;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 8) % below;
  };
  const sizes = [300, 2_000, 20_000, 200_000];
  for (let runs = 0; proxy.cuts < CUTS; runs++) {
    proxy.breakAfter(...Array.from({ length: 3 }, () => 1 + random(sizes[random(sizes.length)]!)));
    proxy.cut();
    const last = 10_000 + random(50_000);
    const script = `seq 1 ${last}; printf '%s' end ${runs} >&2`;
    const { stdoutText, stderrText, proof, exitCode } = await client.process.run({
      argv: ["sh", "-c", script],
    });
    expect(exitCode).toBe(0);
    expect(stdoutText === expected(last), "every number once and in order").toBe(true);
    expect(stderrText).toBe(`end${runs}`);
    // A close that had to be read again comes without its checksum.
    expect(proof === "checksum" || proof === "length").toBe(true);
  }
});

test(`${CUTS / 2} cuts with output in packs: 0 bytes lost, 0 doubled`, { timeout: 600_000 }, async () => {
  await begin({ outputPackingMs: 4 });
  for (let runs = 0; proxy.cuts < CUTS / 2; runs++) {
    proxy.breakAfter(700 + 1100 * (runs % 23), 90_000);
    // Line by line, of two that take turns.
    const both = await Promise.all([2000, 1500].map((lines) => client.process.run(counting(lines))));
    for (const [n, lines] of [2000, 1500].entries()) {
      expect(both[n]!.stdoutText === expected(lines), "every number once and in order").toBe(true);
      expect(both[n]!.stderrText === expected(lines), "on both streams").toBe(true);
      expect(["checksum", "length"]).toContain(both[n]!.proof);
    }
    proxy.cut();
  }
});

test(`${CUTS / 2} cuts with a small window, a reader that lags and one that goes: 0 bytes lost, 0 doubled`, {
  timeout: 600_000,
}, async () => {
  await begin({
    process: { ...DEFAULT_BOUNDS, readyBytes: 64 << 10, historyBytes: 32 << 10, historyEvents: 16 },
  });
  const numbers = expected(100_000);
  for (let runs = 0; proxy.cuts < CUTS / 2; runs++) {
    await using handle = await client.process.start({ argv: ["seq", "1", "100000"] });
    const gone = handle.events();
    const whole = handle.output();
    const decoder = new TextDecoder();
    let [text, taken] = ["", 0];
    for await (const event of handle) {
      if (event.type === "closed") expect(["checksum", "length"]).toContain(event.proof);
      if (event.type !== "output") continue;
      text += decoder.decode(event.bytes, { stream: true });
      taken += 1;
      if (taken === 2) await gone.next();
      if (taken === 4) await gone.return?.();
      // Everything else goes on while this reader stands still.
      if (taken % 3 === 0) await client.ping();
      if (taken % 5 === runs % 5) proxy.cut();
    }
    expect(text === numbers, "every number once and in order").toBe(true);
    expect((await whole).stdoutText === numbers, "for the other reader as well").toBe(true);
  }
});

test("a reader that stands still is not sent more than its window, however much there is", async () => {
  await begin();
  await using flood = await client.process.start({ argv: ["head", "-c", "64000000", "/dev/zero"] });
  const events = flood.events();
  let bytes = 0;
  const take = async (): Promise<boolean> => {
    const { done, value } = await events.next();
    if (value?.type === "output") bytes += value.bytes.length;
    return done !== true;
  };
  await take();
  // The server takes it all from the process meanwhile.
  while ((await client.process.list())[0]!.outputBytes < 64_000_000) await client.ping();
  expect(proxy.bytes).toBeLessThan(DEFAULT_BOUNDS.readyBytes * 2);
  while (await take());
  expect(bytes).toBe(64_000_000);
});

test("a process that nobody reads goes on, and says no more", async () => {
  await begin();
  const flood = await client.process.start({ argv: ["head", "-c", "64000000", "/dev/zero"] });
  flood.detach();
  await ended(client, flood.id);
  expect(proxy.bytes).toBeLessThan(DEFAULT_BOUNDS.readyBytes * 4);
  await using found = await client.process.attach(flood.id);
  // What nobody wanted was not all kept, which is told.
  const { stdout, gaps } = await found.output({ onGap: "tell" });
  expect(gaps.reduce((sum, { bytes = Number.NaN }) => sum + bytes, stdout.length)).toBe(64_000_000);
});

test("what is written arrives once and in order, however often the connection breaks", async () => {
  await begin();
  await using handle = await client.process.start({ argv: ["cat"], stdin: "pipe" });
  const output = handle.output();
  const hash = createHash("sha256");
  for (let n = 0; n < 200; n++) {
    const text = `${n} `.repeat(50);
    hash.update(text);
    const written = handle.write(text);
    if (n % 7 === 0) proxy.cut();
    await written;
  }
  await handle.closeStdin();
  const { stdout } = await output;
  expect(createHash("sha256").update(stdout).digest("hex")).toBe(hash.digest("hex"));
});

test("a start whose answer is lost runs once", async () => {
  await begin();
  const directory = await mkdtemp(join(tmpdir(), "sdk-test-"));
  try {
    for (let n = 0; n < 20; n++) {
      const file = join(directory, String(n));
      const running = client.process.run({ argv: ["sh", "-c", `echo ran >> ${file}; echo said`] });
      setImmediate(() => proxy.cut());
      expect((await running).stdoutText).toBe("said\n");
      await client.ping();
      expect(await readFile(file, "utf8")).toBe("ran\n");
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});

test("a connection that the server half closes is replaced", async () => {
  await begin();
  await using handle = await client.process.start({ argv: ["cat"], stdin: "pipe" });
  const output = handle.output();
  proxy.halfClose();
  await handle.write("after");
  await handle.closeStdin();
  expect((await output).stdoutText).toBe("after");
});

test("a connection that goes silent is found and replaced", async () => {
  await begin({ probeAfterMs: 100, probeTimeoutMs: 100 });
  proxy.freeze();
  await client.ping();
  expect(states.some(({ status }) => status === "recovering")).toBe(true);
});

test("several followers of several processes all get everything", async () => {
  await begin();
  const handles = await Promise.all(Array.from({ length: 4 }, () => client.process.start(counting(500))));
  const outputs = handles.flatMap((handle) => [handle.output(), handle.output()]);
  for (let n = 0; n < 20; n++) {
    proxy.cut();
    await client.ping();
  }
  for (const output of await Promise.all(outputs)) {
    expect(output.stdoutText).toBe(expected(500));
    expect(output.stderrText).toBe(expected(500));
  }
});

describe("a session", () => {
  test("is found again by its id, with its processes and what they said", async () => {
    await begin();
    const handle = await client.process.start({ argv: ["sh", "-c", "echo one; cat"], stdin: "pipe" });
    const { sessionId } = client;
    await client.close();
    await using again = await connect(server.url, { sessionId });
    expect(again.sessionId).toBe(sessionId);
    await using found = await again.process.attach(handle.id);
    const output = found.output();
    await found.write("two\n");
    await found.closeStdin();
    expect((await output).stdoutText).toBe("one\ntwo\n");
  });

  test("is not taken from who holds it, unless that is asked for", async () => {
    await begin();
    const { sessionId } = client;
    await expect(connect(server.url, { sessionId })).rejects.toMatchObject({ kind: "sessionInUse" });
    await using taker = await connect(server.url, { sessionId, takeover: true });
    await expect(client.ping()).rejects.toMatchObject({ kind: "takenOver" });
    expect(client.state).toMatchObject({ status: "failed" });
    await taker.ping();
  });

  test("that nobody knows is told as such", async () => {
    await begin();
    const sessionId = "00000000-0000-4000-8000-000000000000";
    await expect(connect(server.url, { sessionId })).rejects.toMatchObject({ kind: "sessionLost" });
  });

  test("of a server that is gone fails when its time is over, and tells every waiter", async () => {
    await begin({ recoveryDeadlineMs: 200 });
    await using handle = await client.process.start({ argv: ["cat"], stdin: "pipe" });
    const waiters = [client.ping(), handle.exited, handle.output(), handle.write("x")];
    const crashed = server.crash();
    for (const outcome of await Promise.allSettled(waiters)) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { kind: "disconnected" } });
    }
    await expect(client.process.run({ argv: ["true"] })).rejects.toMatchObject({ kind: "disconnected" });
    await crashed;
  });
});

describe("on the reference's server", () => {
  if (referenceProgram === undefined)
    console.warn("CODEX_REFERENCE_BIN is not set: nothing is tried on the reference");

  test.skipIf(referenceProgram === undefined)("everything that it can works, cuts included", async () => {
    await using reference = await TestServer.reference(referenceProgram ?? "");
    const between = await FaultyProxy.start(reference.port);
    proxy = between;
    client = await connect(between.url, { recoveryPauseMs: 5 });
    const simple = await client.process.run({
      argv: ["sh", "-c", "echo out; echo err >&2; exit 3"],
      env: { PATH: "/bin:/usr/bin" },
    });
    expect(simple).toMatchObject({
      stdoutText: "out\n",
      stderrText: "err\n",
      exitCode: 3,
      proof: "numbering",
    });
    await expect(client.process.list()).rejects.toMatchObject({ kind: "unsupported" });
    await expect(client.process.run({ argv: ["cat"], input: "x" })).rejects.toMatchObject({
      kind: "unsupported",
    });
    await using handle = await client.process.start(counting(1000));
    const output = handle.output();
    between.cut();
    expect((await output).stdoutText).toBe(expected(1000));
  });
});
