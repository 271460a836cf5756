// The server's console in a real browser, through a proxy that cuts. Needs a Chromium that `CHROMIUM` names, as
// `npm run test:browser` does; without, that is said and nothing is tried.

import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { connect } from "../../src/index.js";
import { FaultyProxy } from "../support/proxy.js";
import { TestServer } from "../support/server.js";

const PROGRAM = process.env["CHROMIUM"] ?? "";
const hasBrowser = existsSync(PROGRAM);
if (!hasBrowser) console.warn("CHROMIUM names no program: the console is not tried in a browser");

const PATIENCE_MS = 200_000;
const TOKEN = "a+b/c==secret";
const LINES = 4000;
/** Says half, waits for a line, and says the rest. Echoes nothing. */
const IN_TWO_HALVES = `stty -echo; seq 1 ${LINES / 2}; echo half; read x; seq ${LINES / 2 + 1} ${LINES}; echo end`;
/** What that says on a terminal. */
const BOTH_HALVES = [
  ...Array.from({ length: LINES / 2 }, (_, n) => n + 1),
  "half",
  ...Array.from({ length: LINES / 2 }, (_, n) => LINES / 2 + n + 1),
  "end",
]
  .map((line) => `${line}\r\n`)
  .join("");

describe.skipIf(!hasBrowser)("the console", () => {
  let browser: Browser;
  let folder: string;
  let server: TestServer;
  let proxy: FaultyProxy;
  let context: BrowserContext;
  let problems: string[];

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: PROGRAM, args: ["--no-sandbox"] });
  });

  afterAll(async () => {
    await browser?.close();
  });

  beforeEach(async () => {
    problems = [];
    folder = await mkdtemp(join(tmpdir(), "console-"));
    await writeFile(join(folder, "token"), TOKEN);
    const auth = ["--ws-auth", "capability-token", "--ws-token-file", join(folder, "token")];
    server = await TestServer.start(["--console", ...auth]);
    proxy = await FaultyProxy.start(server.port);
    context = await browser.newContext();
    // Nothing is judged by its time: only a test that fails waits for so long.
    context.setDefaultTimeout(PATIENCE_MS);
  });

  afterEach(async () => {
    await context?.close();
    await proxy?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
    expect(problems).toEqual([]);
  });

  async function open(options: { readonly signedIn?: boolean } = {}): Promise<Page> {
    const page = await context.newPage();
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("console", (message) => {
      if (message.text().includes("Content Security Policy")) problems.push(message.text());
    });
    await page.goto(`${proxy.url.replace("ws:", "http:")}/console/`);
    if (options.signedIn !== false) {
      await page.fill("#token", TOKEN);
      await page.keyboard.press("Enter");
      await connected(page);
    }
    return page;
  }

  async function connected(page: Page): Promise<void> {
    await page.locator("#connection-words", { hasText: /^connected$/ }).waitFor();
  }

  async function watching(page: Page): Promise<void> {
    await page.locator("#connection-words", { hasText: /^watching$/ }).waitFor();
  }

  /** Types a line into the terminal that is looked at. */
  async function type(page: Page, line: string): Promise<void> {
    await page.locator(".screen:not([hidden]) textarea").focus();
    await page.keyboard.type(line);
    await page.keyboard.press("Enter");
  }

  async function start(page: Page, command: string): Promise<void> {
    await page.fill("#command", command);
    await page.click("#start-button");
  }

  /** Waits until the terminal that is looked at shows a line, and takes what is typed. */
  async function says(page: Page, line: string): Promise<void> {
    const shown = page.locator(".screen:not([hidden])");
    await shown
      .locator(".xterm-rows > div", { hasText: new RegExp(`^${line}\\s*$`) })
      .first()
      .waitFor();
    await page.locator(".screen[data-live]:not([hidden])").waitFor();
  }

  async function complete(page: Page): Promise<void> {
    await page.locator(".screen[data-complete]:not([hidden])").waitFor();
    // After a cut the end is read, and what is read has no checksum.
    await page.locator("#terminal-facts", { hasText: /complete by (checksum|length)/ }).waitFor();
  }

  /** All that the server retains of the process that is looked at. */
  async function saved(page: Page): Promise<string> {
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("#save")]);
    return readFile(await download.path(), "utf8");
  }

  test("asks for the token, says what is wrong with it, and keeps it over a reload", async () => {
    const page = await open({ signedIn: false });
    await page.getByText("This server asks for its token").waitFor();
    await page.fill("#token", "nonsense");
    await page.keyboard.press("Enter");
    await page.getByText("did not accept that token (invalid websocket bearer token)").waitFor();
    await page.fill("#token", TOKEN);
    await page.keyboard.press("Enter");
    await connected(page);
    await page.reload();
    await connected(page);
    expect(await page.evaluate(() => document.cookie + JSON.stringify(localStorage))).not.toContain(TOKEN);
  });

  test("starts a process, shows what it says, and how it is known to be complete", async () => {
    const page = await open();
    await start(page, `seq 1 ${LINES}; exit 3`);
    await says(page, String(LINES));
    await complete(page);
    await page.locator("#terminal-state", { hasText: "exit code 3" }).waitFor();
    expect(await saved(page)).toBe(Array.from({ length: LINES }, (_, n) => `${n + 1}\r\n`).join(""));
  });

  test("that is reloaded in mid-output finds every byte, and goes on", async () => {
    const page = await open();
    await start(page, IN_TWO_HALVES);
    await says(page, "half");
    await page.reload();
    await says(page, "half");
    await page.locator(".screen:not([hidden]) textarea").focus();
    await page.keyboard.press("Enter");
    await says(page, "end");
    await complete(page);
    expect(await saved(page)).toBe(BOTH_HALVES);
  });

  test("whose network is cut again and again shows every byte once", async () => {
    const page = await open();
    await start(page, IN_TWO_HALVES);
    await says(page, "half");
    proxy.breakAfter(6_000, 9_000, 3_000, 12_000);
    proxy.cut();
    const before = proxy.cuts;
    await page.locator(".screen:not([hidden]) textarea").focus();
    await page.keyboard.press("Enter");
    await says(page, "end");
    await complete(page);
    expect(await saved(page)).toBe(BOTH_HALVES);
    expect(proxy.cuts).toBeGreaterThan(before);
    await connected(page);
  });

  test("works in two tabs side by side, and a session moves between them", async () => {
    const [first, second] = [await open(), await open()];
    await start(first, "echo in the first; cat");
    await says(first, "in the first");
    await start(second, "echo in the second; cat");
    await says(second, "in the second");
    const id = await first.evaluate(() => {
      return JSON.parse(sessionStorage.getItem("codex-exec-server-console") ?? "").session as string;
    });
    await second.click("#open-session");
    await second.fill("#session-id", id);
    await second.keyboard.press("Enter");
    await says(second, "in the first");
    await first.getByText("was opened by another tab or program").waitFor();
    await first.getByRole("button", { name: "Take it back" }).click();
    await says(first, "in the first");
    await second.getByText("was opened by another tab or program").waitFor();
  });

  test("watches what another tab holds, changes nothing there, and takes it back", async () => {
    const [watcher, holder] = [await open(), await open()];
    await start(watcher, "echo ready; read x; echo got $x; exec cat");
    await says(watcher, "ready");
    const id = await watcher.evaluate(() => {
      return JSON.parse(sessionStorage.getItem("codex-exec-server-console") ?? "").session as string;
    });
    await holder.click("#open-session");
    await holder.fill("#session-id", id);
    await holder.keyboard.press("Enter");
    await says(holder, "ready");
    await watcher.getByRole("button", { name: "Watch it" }).click();
    await watching(watcher);
    await says(watcher, "ready");
    await watcher.getByText("You only watch this session").waitFor();
    for (const id of ["command", "start-button"]) {
      expect([id, await watcher.locator(`#${id}`).isDisabled()]).toEqual([id, true]);
    }
    for (const id of ["interrupt", "stop", "again", "files-tab"]) {
      expect([id, await watcher.locator(`#${id}`).isVisible()]).toEqual([id, false]);
    }
    await type(watcher, "not mine");
    await type(holder, "mine");
    await says(watcher, "got mine");
    expect(await watcher.locator(".notice").count()).toBe(0);
    // Over a reload, too, it is left where it is.
    await watcher.reload();
    await watching(watcher);
    await says(watcher, "got mine");
    await type(holder, "still here");
    await says(watcher, "still here");
    expect(await watcher.locator(".notice").count()).toBe(0);
    await watcher.click("#take-back");
    await connected(watcher);
    await holder.getByText("was opened by another tab or program").waitFor();
    await says(watcher, "still here");
    await type(watcher, "here now");
    await says(watcher, "here now");
    expect(await watcher.locator("#watching").isVisible()).toBe(false);
  });

  test("watches a session by its id, or takes it, by the keyboard alone", async () => {
    const [holder, watcher] = [await open(), await open()];
    await start(holder, "echo ready; exec cat");
    await says(holder, "ready");
    const id = await holder.evaluate(() => {
      return JSON.parse(sessionStorage.getItem("codex-exec-server-console") ?? "").session as string;
    });
    const openDialog = async (): Promise<void> => {
      await watcher.locator("#open-session").focus();
      await watcher.keyboard.press("Enter");
      await watcher.locator("#session-id:focus").waitFor();
      await watcher.keyboard.type(id);
    };
    await openDialog();
    await watcher.keyboard.press("Tab");
    await watcher.keyboard.press("Tab");
    await watcher.locator("#session-watch:focus").waitFor();
    await watcher.keyboard.press("Enter");
    await watching(watcher);
    await says(watcher, "ready");
    await type(holder, "still mine");
    await says(watcher, "still mine");
    expect(await holder.locator(".notice").count()).toBe(0);
    await openDialog();
    await watcher.keyboard.press("Enter");
    await connected(watcher);
    await holder.getByText("was opened by another tab or program").waitFor();
  });

  test("says that there is nothing left to watch", async () => {
    const page = await open();
    const other = await connect(server.url, { token: TOKEN, detachedLifetimeMs: 0 });
    await page.evaluate((id) => {
      const key = "codex-exec-server-console";
      const kept = JSON.parse(sessionStorage.getItem(key) ?? "");
      sessionStorage.setItem(key, JSON.stringify({ ...kept, sessions: [id], watched: [id], session: id }));
    }, other.sessionId);
    await page.reload();
    await watching(page);
    await other.close();
    await page.getByText("can't be watched: it is over").waitFor();
  });

  test("stops a process with every descendant", async () => {
    const page = await open();
    await start(page, "sleep 1000 & echo started; wait");
    await says(page, "started");
    await page.click("#stop");
    await page.locator("#terminal-state", { hasText: /^exit code 1[0-9]{2}$/ }).waitFor();
    await page.locator("#again").waitFor();
    expect(await page.locator("#process-count").textContent()).toBe("0 of 1 running");
  });

  test("shows the end of a long output after a reload, and saves all of it", async () => {
    const page = await open();
    const lines = 500_000;
    await start(page, `seq 1 ${lines}`);
    await page.locator("#terminal-state", { hasText: "exit code 0" }).waitFor();
    await page.reload();
    await says(page, String(lines));
    expect(await saved(page)).toBe(Array.from({ length: lines }, (_, n) => `${n + 1}\r\n`).join(""));
  });

  test("stays usable with 100 processes, one of which has much to say", async () => {
    const page = await open();
    // Others start them in a session that the page then takes.
    await using other = await connect(server.url, { token: TOKEN });
    const quiet = Array.from({ length: 99 }, () => other.process.start({ argv: ["cat"], stdin: "pipe" }));
    for (const process of await Promise.all(quiet)) process.detach();
    const script = "yes | head -c 33554432; echo that was all; exec sleep 1000";
    const flood = await other.process.start({ argv: ["sh", "-c", script] });
    flood.detach();
    await page.click("#open-session");
    await page.fill("#session-id", other.sessionId);
    await page.keyboard.press("Enter");
    await page.locator("#process-count", { hasText: "100 of 100 running" }).waitFor();
    await page.locator(`#processes [data-process="${flood.id}"] button`).click();
    await start(page, "echo beside it; cat");
    await says(page, "beside it");
    await page.keyboard.type("typed");
    await page.keyboard.press("Enter");
    await says(page, "typed");
    await page.locator(`#processes [data-process="${flood.id}"] button`).click();
    await says(page, "that was all");
    await page.click("#stop");
    await page.locator("#terminal-state", { hasText: /^exit code 1[0-9]{2}$/ }).waitFor();
  });

  test("keeps the screen of a flood that nobody looks at, follows none of it, and goes on close to its end", async () => {
    const page = await open();
    await connected(page);
    await start(page, "exec seq 1 1000000000000");
    await says(page, "\\d+");
    const flood = await page.locator(".screen:not([hidden])").getAttribute("data-process");
    const numbers = () =>
      page
        .locator(`.screen[data-process="${flood}"] .xterm-rows > div`)
        .evaluateAll((rows) =>
          rows.map((row) => Number.parseInt(row.textContent ?? "", 10)).filter((number) => number > 0),
        );
    await start(page, "echo beside it; cat");
    await says(page, "beside it");
    // It gives up following once it has said enough to nobody.
    const left = page.locator(`.screen[hidden][data-process="${flood}"]:not([data-live])`);
    await left.waitFor({ state: "attached" });
    const kept = Math.max(...(await numbers()));
    expect(kept).toBeGreaterThan(1);
    await type(page, "typed");
    await says(page, "typed");
    await page.locator(`#processes [data-process="${flood}"] button`).click();
    await says(page, "\\d+");
    // By then it has said 2 MiB and more, of which some is not shown.
    await vi.waitFor(async () => expect(Math.max(...(await numbers()))).toBeGreaterThan(kept + 100_000), {
      timeout: 60_000,
    });
    await page.click("#stop");
    await page.locator("#terminal-state", { hasText: /^exit code 1[0-9]{2}$/ }).waitFor();
  });

  test("tells a process how large its terminal is, and that it has changed", async () => {
    const page = await open();
    await start(page, "trap 'stty size' WINCH; echo ready; sleep 1000 & while :; do wait; done");
    await says(page, "ready");
    await page.setViewportSize({ width: 900, height: 500 });
    await page
      .locator(".screen:not([hidden]) .xterm-rows > div", { hasText: /^\d+ \d+\s*$/ })
      .first()
      .waitFor();
  });

  test("shows directories and files, and says what to do where it can't", async () => {
    await writeFile(join(folder, "words.txt"), "one\ntwo\nthree\n");
    await writeFile(join(folder, "bytes.bin"), Uint8Array.of(0, 1, 2, 254, 255));
    const page = await open();
    // In one step, so that no answer can come in between: the first directory is asked for, and another one is typed.
    await page.evaluate((path) => {
      document.querySelector<HTMLElement>("#files-tab")?.click();
      document.querySelector<HTMLInputElement>("[name=path]")!.value = path;
    }, folder);
    await page.locator(".listing [role=status]:not(:empty), .notice").first().waitFor();
    expect(await page.inputValue("[name=path]")).toBe(folder);
    await page.press("[name=path]", "Enter");
    await page.getByRole("button", { name: "words.txt" }).click();
    await page.locator(".viewer pre.text", { hasText: "one two three" }).waitFor();
    expect(await page.locator(".viewer .gutter").textContent()).toBe("1\n2\n3");
    await page.getByRole("button", { name: "bytes.bin" }).click();
    await page.locator(".viewer pre.text", { hasText: "00 01 02 fe ff" }).waitFor();
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.locator(".viewer").getByRole("button", { name: "Save" }).click(),
    ]);
    expect([...(await readFile(await download.path()))]).toEqual([0, 1, 2, 254, 255]);
    await page.fill("[name=path]", `${folder}/nowhere`);
    await page.keyboard.press("Enter");
    await page.getByText("Check the spelling of the path").waitFor();
  });

  test("draws how fast everything speaks and how far away it is", async () => {
    const page = await open();
    await start(page, "seq 1 1000");
    await complete(page);
    await page.click("#activity-tab");
    await page.locator("svg[aria-label*='now'][aria-label*='/s']").waitFor();
    await page.locator("svg[aria-label*='now'][aria-label*='ms']").waitFor();
    await page.getByRole("cell", { name: "seq 1 1000" }).waitFor();
  });

  test("works by the keyboard alone", async () => {
    const page = await open();
    await page.keyboard.press("n");
    await page.keyboard.type("echo ready; cat");
    await page.keyboard.press("Enter");
    await says(page, "ready");
    await page.keyboard.type("typed");
    await page.keyboard.press("Enter");
    await says(page, "typed");
    await page.keyboard.press("Shift+F6");
    await page.keyboard.press("ArrowRight");
    await page.locator("#files-view .entries").waitFor();
    await page.keyboard.press("ArrowRight");
    await page.locator("#activity-view figure").first().waitFor();
    await page.keyboard.press("t");
    await page.keyboard.press("Control+d");
    await complete(page);
  });

  test("fits a phone, one view at a time", async () => {
    const page = await open();
    await page.setViewportSize({ width: 360, height: 640 });
    await page.click("#processes-tab");
    await start(page, "echo small");
    await says(page, "small");
    expect(await page.locator("#sidebar").isVisible()).toBe(false);
    for (const tab of ["processes", "terminal", "files", "activity"]) {
      await page.click(`#${tab}-tab`);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
    }
  });

  test("says that a server which lost its session has ended what ran in it", async () => {
    const page = await open();
    await start(page, "echo here; cat");
    await says(page, "here");
    await page.evaluate(() => {
      const key = "codex-exec-server-console";
      const remembered = JSON.parse(sessionStorage.getItem(key) ?? "");
      sessionStorage.setItem(key, JSON.stringify({ ...remembered, sessions: ["gone"], session: "gone" }));
    });
    await page.reload();
    await page.getByText("The server no longer has session gone").waitFor();
    await page.getByRole("button", { name: "New session" }).click();
    await connected(page);
  });
});
