// The example page in a real browser: reloads, cuts, two tabs. Needs a Chromium that `CHROMIUM` names, as
// `npm run test:browser` does; without, that is said and nothing is tried.

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { build } from "esbuild";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { FaultyProxy } from "../support/proxy.js";
import { TestServer } from "../support/server.js";

const ROOT = new URL("../../", import.meta.url).pathname;
const PROGRAM = process.env["CHROMIUM"] ?? "";
const hasBrowser = existsSync(PROGRAM);
if (!hasBrowser) console.warn("CHROMIUM names no program: nothing is tried in a browser");

const LINES = 5000;
const COMMAND = `for i in $(seq 1 ${LINES}); do echo line $i; done`;

describe.skipIf(!hasBrowser)("the example page", () => {
  let site: Server;
  let origin: string;
  let browser: Browser;
  let server: TestServer;
  let proxy: FaultyProxy;
  let context: BrowserContext;
  let problems: string[];

  beforeAll(async () => {
    const bundled = await build({
      entryPoints: [`${ROOT}examples/page.ts`],
      bundle: true,
      format: "esm",
      platform: "browser",
      write: false,
      tsconfigRaw: {},
    });
    const html = await readFile(`${ROOT}examples/page.html`);
    site = createServer((request, response) => {
      const path = new URL(request.url ?? "/", "http://x").pathname;
      if (path === "/") response.setHeader("content-type", "text/html").end(html);
      else if (path === "/page.js") {
        response.setHeader("content-type", "text/javascript").end(bundled.outputFiles[0]!.contents);
      } else response.writeHead(path === "/favicon.ico" ? 204 : 404).end();
    });
    await new Promise<void>((resolve) => site.listen(0, "127.0.0.1", resolve));
    origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
    browser = await chromium.launch({ executablePath: PROGRAM, args: ["--no-sandbox"] });
  });

  afterAll(async () => {
    await browser?.close();
    site?.closeAllConnections();
    site?.close();
  });

  beforeEach(async () => {
    server = await TestServer.start(["--allow-origin", origin]);
    proxy = await FaultyProxy.start(server.port);
    context = await browser.newContext();
    problems = [];
  });

  afterEach(async () => {
    await context?.close();
    await proxy?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
    expect(problems).toEqual([]);
  });

  async function open(): Promise<Page> {
    const page = await context.newPage();
    page.on("pageerror", (error) => problems.push(String(error)));
    await page.goto(`${origin}/?server=${proxy.url}`);
    return page;
  }

  async function run(page: Page, command: string): Promise<void> {
    await page.fill("[name=command]", command);
    await page.click("button");
  }

  /** Waits for the end and checks that every line is there once. */
  async function hasEverything(page: Page): Promise<void> {
    await page.getByText("complete by").waitFor({ timeout: 60_000 });
    const text = await page.locator("pre").textContent();
    expect(text?.split("\n").length).toBe(LINES + 1);
    expect(text).toBe(Array.from({ length: LINES }, (_, n) => `line ${n + 1}\n`).join(""));
  }

  test("shows everything, with its proof", async () => {
    const page = await open();
    await run(page, COMMAND);
    await hasEverything(page);
    expect(await page.locator("[name=outcome]").textContent()).toBe("exit code 0, complete by checksum");
  });

  test("that is reloaded in mid-output finds every byte", async () => {
    const page = await open();
    await run(page, `echo line 1; read x < /dev/null; ${COMMAND.replace("seq 1", "seq 2")}`);
    await page.getByText("line 1").waitFor();
    await page.reload();
    await hasEverything(page);
    await page.reload();
    await hasEverything(page);
  });

  test("whose network is cut again and again shows every byte once", async () => {
    const page = await open();
    proxy.breakAfter(20_000, 5_000, 30_000, 3_000, 60_000);
    await run(page, COMMAND);
    await hasEverything(page);
    expect(proxy.cuts).toBeGreaterThan(0);
  });

  test("works in two tabs side by side", async () => {
    const pages = [await open(), await open()];
    await Promise.all(pages.map((page) => run(page, COMMAND)));
    for (const page of pages) await hasEverything(page);
  });

  test("tells what is wrong with a server that refuses its origin", async () => {
    await using strict = await TestServer.start();
    const page = await open();
    await page.fill("[name=url]", strict.url);
    await run(page, COMMAND);
    await page.getByText("connectFailed: ").waitFor();
  });
});
