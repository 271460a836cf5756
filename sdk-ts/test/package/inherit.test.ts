// A program that passes its own streams on to a process elsewhere, as it was built.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { TestServer } from "../support/server.js";

const ROOT = new URL("../../", import.meta.url).pathname;

test("streams are inherited, and the program ends by itself with the process", async () => {
  await using server = await TestServer.start();
  const script = `
    import { connect, spawn } from "codex-exec-server-sdk/node";
    const client = await connect("${server.url}");
    const child = spawn(client, "sh", ["-c", "cat; echo err >&2; exit 5"], { stdio: "inherit" });
    child.once("close", async (code) => {
      await client.close();
      process.exitCode = code;
    });`;
  const program = spawn(process.execPath, ["--input-type=module", "-e", script], { cwd: ROOT });
  const closed = once(program, "close");
  const said = Promise.all([text(program.stdout), text(program.stderr)]);
  program.stdin.end("in");
  expect(await said).toEqual(["in", "err\n"]);
  expect(await closed).toEqual([5, null]);
});
