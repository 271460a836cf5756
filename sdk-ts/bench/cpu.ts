// Processor time: of processes, and of everybody else on the machine, by /proc.

import { readdirSync, readFileSync } from "node:fs";

/** Of the kernel's clock for processes, on every Linux that there is. */
const TICKS_PER_SECOND = 100;

/** What a process has used so far, in seconds. */
export interface Usage {
  readonly pid: number;
  readonly parent: number;
  /** Itself. */
  readonly own: number;
  /** Its children that have ended, and theirs. */
  readonly ended: number;
}

/** `undefined` if there is none. */
export function usageOf(pid: number): Usage | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // Behind the name, which may hold anything.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const sum = (...at: number[]): number =>
      at.reduce((all, field) => all + Number(fields[field]), 0) / TICKS_PER_SECOND;
    return { pid, parent: Number(fields[1]), own: sum(11, 12), ended: sum(13, 14) };
  } catch {
    return undefined;
  }
}

/** This program and all that it started that still run. */
export function family(): readonly Usage[] {
  const all = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((name) => usageOf(Number(name)))
    .filter((usage) => usage !== undefined);
  const ours = new Set([process.pid]);
  for (let before = 0; before < ours.size; ) {
    before = ours.size;
    for (const { pid, parent } of all) if (ours.has(parent)) ours.add(pid);
  }
  return all.filter(({ pid }) => ours.has(pid));
}

/** What has been used so far, in seconds. */
export interface Look {
  readonly atMs: number;
  readonly ours: number;
  readonly everybodys: number;
}

export function look(): Look {
  // user nice system idle iowait irq softirq steal …; what is stolen is used by others.
  const [, ...times] = readFileSync("/proc/stat", "utf8").split("\n", 1)[0]!.trim().split(/\s+/);
  const everybodys =
    [0, 1, 2, 5, 6, 7].reduce((all, at) => all + Number(times[at] ?? 0), 0) / TICKS_PER_SECOND;
  const ours = family().reduce((all, { own, ended }) => all + own + ended, 0);
  return { atMs: performance.now(), ours, everybodys };
}

/** Processors that everybody else used since `before`. */
export function othersSince(before: Look): number {
  const now = look();
  const used = now.everybodys - before.everybodys - (now.ours - before.ours);
  return Math.max(0, used) / ((now.atMs - before.atMs) / 1000);
}
