// A gibibyte of output, through this package in Node with everything that makes it whole (order, counts, checksum), and as
// much through a raw WebSocket of the same library that counts bytes and does nothing else. They take turns.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { type Client, connect } from "codex-exec-server-sdk";
import { WebSocket } from "ws";
import { TestServer } from "../test/support/server.js";
import { usageOf } from "./cpu.js";
import type { Plan } from "./programs.js";
import type { Figure } from "./report.js";
import { median } from "./stats.js";

/** What one passage took: seconds by the clock, and of processor time. */
interface Passage {
  readonly seconds: number;
  /** This program. */
  readonly here: number;
  /** The one at the other end. */
  readonly there: number;
  /** The process behind that. */
  readonly source: number;
}

async function timed(bytes: number, server: number, take: () => Promise<number>): Promise<Passage> {
  const [before, serverBefore] = [process.cpuUsage(), usageOf(server)];
  const started = performance.now();
  const taken = await take();
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(before);
  if (taken !== bytes) throw new Error(`${taken} bytes came, not ${bytes}`);
  const serverAfter = usageOf(server);
  if (serverBefore === undefined || serverAfter === undefined) throw new Error("the server is gone");
  const there = serverAfter.own - serverBefore.own;
  return { seconds, here: (user + system) / 1e6, there, source: serverAfter.ended - serverBefore.ended };
}

/** Runs raw_server.ts; returns its URL and what ends it. */
async function rawServer(): Promise<{ url: string; pid: number } & AsyncDisposable> {
  const child = spawn(process.execPath, [new URL("./raw_server.mjs", import.meta.url).pathname], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const url = await new Promise<string>((resolve) =>
    createInterface({ input: child.stdout }).once("line", resolve),
  );
  return {
    url,
    pid: child.pid ?? 0,
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      await ended;
    },
  };
}

/** Bytes that a raw WebSocket brings. */
function throughSocket(url: string, bytes: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let taken = 0;
    const socket = new WebSocket(`${url}/${bytes}`, { perMessageDeflate: false });
    socket.on("message", (data: Buffer) => {
      taken += data.length;
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(taken));
  });
}

/** Bytes that a process writes. */
async function throughClient(client: Client, bytes: number): Promise<number> {
  await using handle = await client.process.start({ argv: ["head", "-c", String(bytes), "/dev/zero"] });
  let taken = 0;
  for await (const event of handle) {
    if (event.type === "output") taken += event.bytes.length;
    if (event.type === "closed" && event.proof !== "checksum") throw new Error(`complete by ${event.proof}`);
  }
  return taken;
}

/** See the head of the file. */
export async function output({ server: program, isQuick }: Plan): Promise<readonly Figure[]> {
  const bytes = isQuick ? 256 << 20 : 1 << 30;
  await using server = await TestServer.start([], { program });
  await using raw = await rawServer();
  await using client = await connect(server.url);
  if (!client.supports("binaryOutput")) throw new Error("this server sends no binary output");
  await throughSocket(raw.url, 64 << 20);
  await throughClient(client, 64 << 20);
  const ours: Passage[] = [];
  const theirs: Passage[] = [];
  for (let round = 0; round < (isQuick ? 3 : 9); round++) {
    theirs.push(await timed(bytes, raw.pid, () => throughSocket(raw.url, bytes)));
    ours.push(await timed(bytes, server.pid, () => throughClient(client, bytes)));
  }
  const rate = (passages: readonly Passage[]): number =>
    bytes / 1e6 / median(passages.map(({ seconds }) => seconds));
  const cpu = (passages: readonly Passage[], of: "here" | "there" | "source" = "here"): number =>
    median(passages.map((passage) => passage[of])) * (2 ** 30 / bytes);
  const parts = (...seconds: number[]): string => seconds.map((part) => part.toFixed(2)).join(" + ");
  const sum = parts(cpu(ours), cpu(ours, "there"), cpu(ours, "source"));
  const rawSum = parts(cpu(theirs), cpu(theirs, "there"));
  return [
    {
      metric: "rate",
      value: rate(ours),
      unit: "MB/s",
      beside: { what: "raw WebSocket", value: rate(theirs) },
      goal: { atLeast: 0.6, of: "× raw WebSocket" },
      note: `processors for a GiB: ${sum} s here, in the server and in head`,
      why: `a GiB takes ${sum} s of processor time here, in the server and in \`head\`, and ${rawSum} s in the two programs of the raw WebSocket`,
    },
    {
      metric: "this side's CPU",
      value: cpu(ours),
      unit: "s/GiB",
      beside: { what: "raw WebSocket", value: cpu(theirs) },
    },
  ];
}
