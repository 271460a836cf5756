// How long a page's thread was busy with one thing by its own clock, which stands still while others have the processor: on a
// machine that is busy elsewhere, what a browser tells as a long task is mostly a wait for that.

import type { Browser, Page } from "playwright-core";

interface TraceEvent {
  readonly name: string;
  readonly ph: string;
  readonly pid: number;
  readonly tid: number;
  /** Microseconds of the thread's clock. */
  readonly tdur?: number;
  readonly args?: { readonly name?: string };
}

/** Does `act` while the browser writes down what its threads do: the most milliseconds that one task of a page used. */
export async function busiestTaskMs(browser: Browser, page: Page, act: () => Promise<void>): Promise<number> {
  await browser.startTracing(page, { categories: ["toplevel"] });
  let written: Buffer;
  try {
    await act();
  } finally {
    written = await browser.stopTracing();
  }
  const { traceEvents } = JSON.parse(written.toString("utf8")) as {
    readonly traceEvents: readonly TraceEvent[];
  };
  const threadOf = ({ pid, tid }: TraceEvent): string => `${pid}:${tid}`;
  const pages = new Set(
    traceEvents
      .filter(({ name, args }) => name === "thread_name" && args?.name === "CrRendererMain")
      .map(threadOf),
  );
  const tasks = traceEvents.filter(
    (event) => event.ph === "X" && event.name.endsWith("RunTask") && pages.has(threadOf(event)),
  );
  if (tasks.length === 0) throw new Error("the browser told of no task");
  return tasks.reduce((most, { tdur = 0 }) => Math.max(most, tdur), 0) / 1000;
}
