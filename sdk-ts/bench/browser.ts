// A Chromium to measure in, and what it uses.

import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, chromium } from "playwright-core";

/** Of the kernel's clock for processes, on every Linux that there is. */
const TICKS_PER_SECOND = 100;

/** Seconds of processor time that the browser has used, by what its processes are for. */
export interface BrowserCpu {
  readonly renderer: number;
  readonly network: number;
  /** The browser's own process, and helpers. */
  readonly rest: number;
}

/** Starts one that is controlled. */
export function launch(program: string): Promise<Browser> {
  return chromium.launch({ executablePath: program, args: ["--no-sandbox"] });
}

/** Opens a page in a browser that nobody controls: one that is controlled tells about each message, which costs more than it. */
export function show(program: string, url: string): AsyncDisposable {
  const profile = mkdtempSync(join(tmpdir(), "bench-profile-"));
  const flags = ["--headless", "--no-sandbox", "--no-first-run", "--disable-extensions", "--disable-sync"];
  const child = spawn(program, [...flags, `--user-data-dir=${profile}`, url], { stdio: "ignore" });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill();
      await ended;
      // Its helpers may still write there.
      rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
}

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly seconds: number;
}

function readProcess(pid: number): Process | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // Behind the name, which may hold anything.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const seconds = (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
    return { pid, parent: Number(fields[1]), seconds };
  } catch {
    return undefined;
  }
}

/** What the Chromium that this program started has used so far. */
export function cpuOf(): BrowserCpu {
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readProcess(Number(name)))
    .filter((process) => process !== undefined);
  const ours = new Set([process.pid]);
  for (let before = 0; before < ours.size; ) {
    before = ours.size;
    for (const { pid, parent } of all) if (ours.has(parent)) ours.add(pid);
  }
  const used = { renderer: 0, network: 0, rest: 0 };
  for (const { pid, seconds } of all) {
    if (!ours.has(pid)) continue;
    try {
      if (!readlinkSync(`/proc/${pid}/exe`).includes("chrom")) continue;
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      const kind = command.includes("--type=renderer")
        ? "renderer"
        : command.includes("network.mojom.NetworkService")
          ? "network"
          : "rest";
      used[kind] += seconds;
    } catch {
      // It ended meanwhile.
    }
  }
  return used;
}
