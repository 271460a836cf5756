// The examples do what they say, on the real server.

import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TestServer } from "../support/server.js";

const ROOT = new URL("../../", import.meta.url).pathname;
const run = promisify(execFile);

let server: TestServer;
let folder: string;

/** The example as a program that Node runs. Below this folder, where the package is found by its name. */
async function compiled(name: string): Promise<string> {
  const result = await build({
    entryPoints: [`${ROOT}examples/${name}.ts`],
    format: "esm",
    platform: "node",
    target: "node20",
    write: false,
    tsconfigRaw: {},
  });
  const path = `${folder}/${name}.js`;
  await writeFile(path, result.outputFiles[0]!.text);
  return path;
}

beforeAll(async () => {
  server = await TestServer.start();
  folder = await mkdtemp(`${ROOT}dist/.example-`);
});

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

test("run passes on output and exit code", async () => {
  const program = await compiled("run");
  const failure = await run(process.execPath, [
    program,
    server.url,
    "sh",
    "-c",
    "echo out; echo err >&2; exit 3",
  ]).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 3, stdout: "out\n", stderr: "err\n" });
});

test("agent runs 200 commands and says how long it waited", async () => {
  const { stdout } = await run(process.execPath, [await compiled("agent"), server.url]);
  expect(stdout).toMatch(/^200 commands, \d+\.\d\d s of waiting/);
});

test("page fits a browser: it needs nothing but the package", async () => {
  const result = await build({
    entryPoints: [`${ROOT}examples/page.ts`],
    bundle: true,
    format: "esm",
    platform: "browser",
    write: false,
    tsconfigRaw: {},
  });
  expect(result.warnings).toEqual([]);
  expect(result.outputFiles[0]!.text.match(/node:|from "ws"/)).toBeNull();
});
