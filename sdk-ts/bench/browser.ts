// A Chromium to measure in, and what it uses.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readlinkSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { type Browser, chromium } from "playwright-core";
import { family } from "./cpu.js";

/** Five seconds of them. */
const REMOVE_ATTEMPTS = 50;

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
      await remove(profile);
    },
  };
}

/** Removes a profile. Its browser's helpers may still write there for a while; what was measured is not lost for that. */
async function remove(profile: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await rm(profile, { recursive: true, force: true });
      return;
    } catch (error) {
      if (attempt === REMOVE_ATTEMPTS) {
        console.error(`left behind: ${profile}: ${error}`);
        return;
      }
      await setTimeout(100);
    }
  }
}

/** What the Chromium that this program started has used so far. */
export function cpuOf(): BrowserCpu {
  const used = { renderer: 0, network: 0, rest: 0 };
  for (const { pid, own } of family()) {
    try {
      if (!readlinkSync(`/proc/${pid}/exe`).includes("chrom")) continue;
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      const kind = command.includes("--type=renderer")
        ? "renderer"
        : command.includes("network.mojom.NetworkService")
          ? "network"
          : "rest";
      used[kind] += own;
    } catch {
      // It ended meanwhile.
    }
  }
  return used;
}
