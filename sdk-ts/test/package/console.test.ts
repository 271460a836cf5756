// The console as the server shows it is made of what is here now.

import { readdir, stat } from "node:fs/promises";
import { expect, test } from "vitest";
import { consoleFiles, shownAs, shownContents } from "../../examples/console/build.mjs";

const SHOWN = new URL("../../../codex-rs/exec-server/console/", import.meta.url).pathname;
const files = await consoleFiles();

test.each([...files.keys()])("%s is fresh: otherwise run `just console`", async (name) => {
  const shown = await shownContents(name);
  expect(
    shown?.equals(files.get(name)!),
    `codex-rs/exec-server/console/${shownAs(name)} is stale: run \`just console\``,
  ).toBe(true);
});

test("nothing else is shown", async () => {
  expect((await readdir(SHOWN)).sort()).toEqual([...files.keys()].map(shownAs).sort());
});

test("the page holds no script, no style and no handler of its own", () => {
  const page = Buffer.from(files.get("index.html")!).toString("utf8");
  expect(page).not.toMatch(/<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|javascript:/i);
});

test("everything loads from beside the page", () => {
  const text = (name: string): string => Buffer.from(files.get(name)!).toString("utf8");
  const named = text("index.html").match(/(?:src|href)="(?!icon\.svg|console\.(?:css|js)|#main)[^"]*"/g);
  expect(named ?? []).toEqual([]);
  expect(text("console.css")).not.toMatch(/@import|url\((?!data:|#)/);
  expect(text("console.js")).not.toMatch(/\bimport\(|importScripts\(|createElement\(["']script/);
});

test("it is small enough to be carried by every server", async () => {
  const total = [...files.values()].reduce((sum, bytes) => sum + bytes.length, 0);
  expect(total).toBeLessThan(600 * 1024);
  const held = await Promise.all((await readdir(SHOWN)).map((name) => stat(`${SHOWN}${name}`)));
  expect(held.reduce((sum, { size }) => sum + size, 0)).toBeLessThan(160 * 1024);
});
