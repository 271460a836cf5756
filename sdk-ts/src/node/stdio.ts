// A program whose stdin and stdout lead to a server: one JSON message a line. Each connection is one run of it.

import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { ExecError } from "../errors.js";
import type { Dial, Transport } from "../transport/transport.js";

/** Longest line that is taken: an answer may hold a whole file of 512 MiB. */
const MAX_LINE_BYTES = 1 << 30;
/** What of the program's complaints is kept for messages. */
const MAX_WORDS = 2000;
/** How long a program may take to end once its stdin has. */
const GRACE_MS = 2000;

const NEWLINE = 10;

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** How to run the program. */
export interface CommandOptions {
  readonly cwd?: string;
  /** Its whole environment. Default: this program's own. */
  readonly env?: NodeJS.ProcessEnv;
}

/** Dials by running a program. It ends with its connection. */
export function dialCommand(argv: readonly string[], { cwd, env }: CommandOptions = {}): Dial {
  const [program, ...args] = argv;
  if (program === undefined || program === "") {
    throw new ExecError("invalidArgument", "there is no command to run", {
      hint: 'pass something like ["ssh", "host", "codex-exec-server", "--listen", "stdio"]',
    });
  }
  return (events, signal) =>
    new Promise<Transport>((resolve, reject) => {
      signal.throwIfAborted();
      const child = run(program, args, {
        ...(cwd !== undefined && { cwd }),
        ...(env !== undefined && { env }),
      });
      const aborted = (): void => {
        reject(signal.reason);
        child.kill("SIGKILL");
      };
      signal.addEventListener("abort", aborted, { once: true });
      const words = wordsOf(child);
      let isOver = false;
      const end = (reason: string): void => {
        if (isOver) return;
        isOver = true;
        events.onEnd({ code: undefined, reason });
      };
      child.once("error", (cause) => {
        signal.removeEventListener("abort", aborted);
        if (child.pid !== undefined) return end(cause.message);
        reject(
          new ExecError("connectFailed", `${program} can't be run: ${cause.message}`, {
            hint: `is it installed, and on the PATH${cwd === undefined ? "" : `, and is there a ${cwd}`}?`,
            cause,
          }),
        );
      });
      // What a program says that ends while it is written to is told by its end.
      child.stdin.on("error", () => {});
      child.stdout.on("error", () => {});
      readLines(child.stdout, (line) => {
        if (isOver) return;
        if (line === undefined) end(`${program} sent a line of more than ${MAX_LINE_BYTES} bytes`);
        else events.onMessage(line);
      });
      child.once("close", (code, killedBy) => {
        const how = killedBy === null ? `exit code ${code}` : killedBy;
        const said = words();
        end(`${program} ended (${how})${said === "" ? "" : `: ${said}`}`);
      });
      child.once("spawn", () => {
        signal.removeEventListener("abort", aborted);
        resolve(transportOf(child, () => end("closed")));
      });
    });
}

function run(program: string, args: readonly string[], options: CommandOptions): Child {
  try {
    return spawn(program, args, { ...options, stdio: ["pipe", "pipe", "pipe"] });
  } catch (cause) {
    // What no system takes, such as a text with a null in it.
    throw new ExecError("invalidArgument", `${JSON.stringify(program)} can't be run: ${String(cause)}`, {
      cause,
    });
  }
}

function transportOf(child: Child, end: () => void): Transport {
  return {
    send: (message) => {
      if (child.stdin.writable) child.stdin.write(`${message}\n`);
    },
    pause: () => child.stdout.pause(),
    resume: () => child.stdout.resume(),
    close: () => {
      end();
      child.stdout.resume();
      child.stdin.end();
      const timer = setTimeout(() => child.kill("SIGKILL"), GRACE_MS);
      timer.unref();
      child.once("close", () => clearTimeout(timer));
    },
    abandon: () => {
      end();
      child.kill("SIGKILL");
    },
  };
}

/** Remembers the last that a program complained about. */
function wordsOf(child: Child): () => string {
  let words = "";
  child.stderr.setEncoding("utf8");
  child.stderr.on("error", () => {});
  child.stderr.on("data", (text: string) => {
    words = (words + text).slice(-MAX_WORDS);
  });
  return () => words.trim();
}

/** Tells each line that is not blank, without its end; `undefined` for one that is too long. */
function readLines(stream: Readable, tell: (line: string | undefined) => void): void {
  let begun: Buffer[] = [];
  let length = 0;
  stream.on("data", (bytes: Buffer) => {
    let from = 0;
    for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, from)) {
      const piece = bytes.subarray(from, at);
      const line = begun.length === 0 ? piece : Buffer.concat([...begun, piece]);
      begun = [];
      length = 0;
      from = at + 1;
      const text = line.toString("utf8").trim();
      if (text !== "") tell(text);
    }
    if (from === bytes.length) return;
    begun.push(bytes.subarray(from));
    length += bytes.length - from;
    if (length > MAX_LINE_BYTES) tell(undefined);
  });
}
