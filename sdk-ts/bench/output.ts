// A gibibyte of output, through this package in Node with everything that makes it whole (order, counts, checksum), and as
// much through a raw WebSocket of the same library that counts bytes and does nothing else. They take turns.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { type Client, connect } from "codex-exec-server-sdk";
import { WebSocket } from "ws";
import { TestServer } from "../test/support/server.js";
import type { Plan } from "./programs.js";
import type { Figure } from "./report.js";
import { median } from "./stats.js";

/** What one passage took: seconds by the clock, and of this program's processor time. */
interface Passage {
  readonly seconds: number;
  readonly cpuSeconds: number;
}

async function timed(bytes: number, take: () => Promise<number>): Promise<Passage> {
  const before = process.cpuUsage();
  const started = performance.now();
  const taken = await take();
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(before);
  if (taken !== bytes) throw new Error(`${taken} bytes came, not ${bytes}`);
  return { seconds, cpuSeconds: (user + system) / 1e6 };
}

/** Runs raw_server.ts; returns its URL and what ends it. */
async function rawServer(): Promise<{ url: string } & AsyncDisposable> {
  const child = spawn(process.execPath, [new URL("./raw_server.mjs", import.meta.url).pathname], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const url = await new Promise<string>((resolve) =>
    createInterface({ input: child.stdout }).once("line", resolve),
  );
  return {
    url,
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
  for (let round = 0; round < (isQuick ? 3 : 5); round++) {
    theirs.push(await timed(bytes, () => throughSocket(raw.url, bytes)));
    ours.push(await timed(bytes, () => throughClient(client, bytes)));
  }
  const rate = (passages: readonly Passage[]): number =>
    bytes / 1e6 / median(passages.map(({ seconds }) => seconds));
  const cpu = (passages: readonly Passage[]): number =>
    median(passages.map(({ cpuSeconds }) => cpuSeconds)) * (2 ** 30 / bytes);
  return [
    {
      metric: "rate",
      value: rate(ours),
      unit: "MB/s",
      beside: { what: "raw WebSocket", value: rate(theirs) },
      goal: { atLeast: 0.6, of: "× raw WebSocket" },
    },
    {
      metric: "this side's CPU",
      value: cpu(ours),
      unit: "s/GiB",
      beside: { what: "raw WebSocket", value: cpu(theirs) },
    },
  ];
}
