// The console with 100 processes in its session, one of which writes without end: how long somebody waits who types in a
// terminal beside it, with the flood on another screen and with nothing else going on, and how long the page is ever busy.
//
// What is waited for is what a person sees: from the key's own time stamp to behind the frame that shows the echo, so through
// the page, the socket, the server, the process and back. What is typed is a letter at a time, each once the one before is
// there.

import { connect } from "codex-exec-server-sdk";
import type { Browser, Page } from "playwright-core";
import { TestServer } from "../test/support/server.js";
import { launch } from "./browser.js";
import type { Plan } from "./programs.js";
import type { Figure } from "./report.js";
import { median, percentile } from "./stats.js";
import { busiestTaskMs } from "./tasks.js";

const PROCESSES = 100;
/** As much as a person takes for at once. */
const AT_ONCE_MS = 100;
/** As long as a page may be busy before it is felt to hang. */
const BUSY_MS = 200;

declare global {
  interface Window {
    /** Milliseconds from a key to the frame with its echo, for each key so far. */
    echoes: number[];
    /** The longest that the page was busy with one thing. */
    busiestMs: number;
  }
}

/** Watches keys and what the terminals show. Runs in the page. */
function observe(): void {
  window.echoes = [];
  window.busiestMs = 0;
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) window.busiestMs = Math.max(window.busiestMs, duration);
  }).observe({ type: "longtask" });
  let pressed: { readonly atMs: number; readonly shown: number } | undefined;
  const shown = (): number =>
    document.querySelector(".screen:not([hidden]) .xterm-rows")?.textContent?.match(/x/g)?.length ?? 0;
  document.addEventListener(
    "keydown",
    (event) => {
      if (event.key === "x") pressed = { atMs: event.timeStamp, shown: shown() };
    },
    { capture: true },
  );
  const channel = new MessageChannel();
  let due: number | undefined;
  // A message comes behind the frame in which it was sent.
  channel.port1.onmessage = () => {
    if (due !== undefined) window.echoes.push(performance.now() - due);
    due = undefined;
  };
  new MutationObserver(() => {
    if (pressed === undefined || shown() <= pressed.shown) return;
    due = pressed.atMs;
    pressed = undefined;
    channel.port2.postMessage(undefined);
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
}

interface Felt {
  readonly echoesMs: readonly number[];
  readonly busiestMs: number;
}

/** Types into the terminal that is looked at, and tells how that felt. */
async function type(page: Page, keys: number): Promise<Felt> {
  await page.evaluate(() => {
    window.echoes = [];
    window.busiestMs = 0;
  });
  await page.locator(".screen[data-live]:not([hidden]) textarea").focus();
  for (let n = 1; n <= keys; n++) {
    await page.keyboard.press("x");
    await page.waitForFunction((n) => window.echoes.length >= n, n);
    // There is one line, and it stays short: what scrolled away would not be counted.
    if (n % 20 === 0 && n < keys) {
      await page.keyboard.press("Control+u");
      await page.locator(".screen:not([hidden]) .xterm-rows", { hasNotText: "x" }).waitFor();
    }
  }
  return page.evaluate(() => ({ echoesMs: window.echoes, busiestMs: window.busiestMs }));
}

async function start(page: Page, command: string): Promise<void> {
  await page.fill("#command", command);
  await page.click("#start-button");
}

async function measure(browser: Browser, url: string, keys: number) {
  await using other = await connect(url);
  const quiet = Array.from({ length: PROCESSES - 2 }, () =>
    other.process.start({ argv: ["cat"], stdin: "pipe" }),
  );
  for (const process of await Promise.all(quiet)) process.detach();
  const page = await browser.newPage();
  page.setDefaultTimeout(120_000);
  await page.goto(`${url.replace("ws:", "http:")}/console/`);
  await page.locator("#connection-words", { hasText: /^connected$/ }).waitFor();
  await page.click("#open-session");
  await page.fill("#session-id", other.sessionId);
  await page.keyboard.press("Enter");
  await page.locator("#process-count", { hasText: `${PROCESSES - 2} of ${PROCESSES - 2} running` }).waitFor();
  await page.evaluate(observe);
  await start(page, "clear; cat");
  await page.locator(".screen[data-live]:not([hidden])").waitFor();
  const alone = await type(page, keys);
  const typedInto = await page.locator(".screen:not([hidden])").getAttribute("data-process");
  await start(page, "yes the flood");
  await page.locator("#process-count", { hasText: `${PROCESSES} of ${PROCESSES} running` }).waitFor();
  await page.locator(".screen:not([hidden]) .xterm-rows", { hasText: "the flood" }).waitFor();
  const flood = await page.locator(".screen:not([hidden])").getAttribute("data-process");
  await page.locator(`#processes [data-process="${typedInto}"] button`).click();
  const beside = await type(page, keys);
  // To and fro between the two, as somebody does who looks after a build.
  const turnsMs: number[] = [];
  const busiestOwnMs = await busiestTaskMs(browser, page, async () => {
    for (let n = 0; n < Math.ceil(keys / 10); n++) {
      for (const [processId, text] of [
        [flood, "the flood"],
        [typedInto, "x"],
      ] as const) {
        const started = performance.now();
        await page.locator(`#processes [data-process="${processId}"] button`).click();
        await page
          .locator(`.screen[data-live][data-process="${processId}"]:not([hidden]) .xterm-rows`, {
            hasText: text,
          })
          .waitFor();
        turnsMs.push(performance.now() - started);
      }
    }
  });
  const busiestMs = await page.evaluate(() => window.busiestMs);
  return { alone, beside, turnsMs, busiestOwnMs, busiestMs: Math.max(beside.busiestMs, busiestMs) };
}

/** See the head of the file. */
export async function consoleUse({ server: program, chromium, isQuick }: Plan): Promise<readonly Figure[]> {
  if (chromium === undefined) throw new Error("there is no Chromium; CHROMIUM names one");
  await using server = await TestServer.start(["--console"], { program });
  const browser = await launch(chromium);
  try {
    const { alone, beside, turnsMs, busiestOwnMs, busiestMs } = await measure(
      browser,
      server.url,
      isQuick ? 60 : 300,
    );
    return [
      {
        metric: "key to its echo on the screen, p50",
        value: median(beside.echoesMs),
        unit: "ms",
        note: `${median(alone.echoesMs).toFixed(1)} ms without the flood`,
      },
      {
        metric: "the same, p95",
        value: percentile(beside.echoesMs, 95),
        unit: "ms",
        goal: { atMost: AT_ONCE_MS, of: "ms, as at once" },
        note: `${percentile(alone.echoesMs, 95).toFixed(1)} ms without the flood`,
      },
      {
        metric: "longest task of the page",
        value: busiestMs,
        unit: "ms",
        goal: { atMost: BUSY_MS, of: "ms" },
        note: "tasks below 50 ms are not told by browsers, and count as 0",
        why: `the longest of those between terminals took ${busiestOwnMs.toFixed(0)} ms of processor time, and the rest is waiting for one`,
      },
      {
        metric: "longest task between terminals, of its own processor time",
        value: busiestOwnMs,
        unit: "ms",
      },
      {
        metric: "from one terminal to the other, p95",
        value: percentile(turnsMs, 95),
        unit: "ms",
        goal: { atMost: 1000, of: "ms" },
        why: `half of the turns took ${median(turnsMs).toFixed(0)} ms or less, and no task of the page more than ${busiestOwnMs.toFixed(0)} ms of processor time`,
      },
    ];
  } finally {
    await browser.close();
  }
}
