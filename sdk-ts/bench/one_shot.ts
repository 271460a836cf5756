// One command on an open connection, start to close: through this package in Node, and through the Rust client. Both talk to
// the same server and take turns, a batch each.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { connect } from "codex-exec-server-sdk";
import { TestServer } from "../test/support/server.js";
import { type Plan, rustClientProgram } from "./programs.js";
import type { Figure } from "./report.js";
import { median } from "./stats.js";

const BATCH = 10;
/** As the Rust side runs it. */
const COMMAND = { argv: ["/usr/bin/true"], cwd: "/" } as const;

/** The Rust client, which runs as many commands as it is asked for. */
class RustClient implements AsyncDisposable {
  readonly #child;
  readonly #answers;

  constructor(bench: string, url: string) {
    this.#child = spawn(bench, ["--driven-client", url], { stdio: ["pipe", "pipe", "inherit"] });
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Microseconds of each. */
  async run(count: number): Promise<number[]> {
    this.#child.stdin.write(`${count}\n`);
    const { value, done } = await this.#answers.next();
    if (done) throw new Error("the Rust client ended; is its program of this tree?");
    return (value as string).split(" ").map(Number);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.stdin.end();
    await ended;
  }
}

/** See the head of the file. */
export async function oneShot({ server: program, isQuick }: Plan): Promise<readonly Figure[]> {
  await using server = await TestServer.start([], { program });
  await using rust = new RustClient(rustClientProgram(), server.url);
  await using client = await connect(server.url);
  const runBatch = async (count: number): Promise<number[]> => {
    const taken: number[] = [];
    for (let n = 0; n < count; n++) {
      const started = performance.now();
      const { exitCode } = await client.process.run(COMMAND);
      taken.push((performance.now() - started) * 1000);
      if (exitCode !== 0) throw new Error(`the command exited with ${exitCode}`);
    }
    return taken;
  };
  // Compilers and caches warm up.
  await rust.run(20);
  await runBatch(300);
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < (isQuick ? 20 : 150); round++) {
    theirs.push(...(await rust.run(BATCH)));
    ours.push(...(await runBatch(BATCH)));
  }
  return [
    {
      metric: "p50 through the SDK",
      value: median(ours),
      unit: "µs",
      beside: { what: "Rust client", value: median(theirs) },
      goal: { atMost: 1.5, of: "× the Rust client" },
    },
  ];
}
