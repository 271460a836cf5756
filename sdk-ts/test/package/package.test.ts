// The package as its users get it: what is in it, how large it is in a page, and what it leaves behind. Needs `npm run build`.

import { execFile, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { describe, expect, test } from "vitest";

const ROOT = dirname(dirname(import.meta.dirname));
const BUDGET_BYTES = 25 * 1024;

const manifest = JSON.parse(await readFile(`${ROOT}/package.json`, "utf8"));

async function bundle(entry: string, platform: "browser" | "node") {
  return build({
    stdin: { contents: entry, resolveDir: ROOT, loader: "js" },
    bundle: true,
    minify: true,
    format: "esm",
    platform,
    write: false,
    metafile: true,
    logLevel: "silent",
    // As it is for users, who do not have this folder's settings.
    tsconfigRaw: {},
  });
}

describe("in a browser", () => {
  test(`everything is at most ${BUDGET_BYTES} bytes, gzipped, and knows nothing of Node`, async () => {
    const result = await bundle('export * from "./dist/index.js";', "browser");
    const [file] = result.outputFiles;
    expect(gzipSync(file!.contents).length).toBeLessThanOrEqual(BUDGET_BYTES);
    expect(file!.text.match(/node:|(?<!\.)\brequire\(|from"ws"|import\("ws"\)/)).toBeNull();
    expect(Object.keys(result.metafile.inputs).filter((path) => path.includes("node_modules"))).toEqual([]);
  });

  test("what is not used is left out", async () => {
    const result = await bundle('export { isExecError } from "./dist/index.js";', "browser");
    expect(result.outputFiles[0]!.contents.length).toBeLessThan(1000);
  });
});

test("checksums are by WebAssembly in Node, and by tables in a page, whose policy may refuse it", async () => {
  const inputs = async (platform: "browser" | "node"): Promise<readonly string[]> => {
    const entry = 'export { connect } from "./dist/index.js";';
    return Object.keys((await bundle(entry, platform)).metafile.inputs);
  };
  expect(await inputs("node")).toContain("dist/core/crc32c_wasm.js");
  expect(await inputs("browser")).not.toContain("dist/core/crc32c_wasm.js");
});

test("npm pack holds what is meant to be in it, and nothing else", async () => {
  const { stdout } = await promisify(execFile)("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: ROOT,
  });
  const files: string[] = JSON.parse(stdout)[0].files.map(({ path }: { path: string }) => path);
  const others = files.filter((path) => !/^dist\/.*\.(js|d\.ts)$/.test(path));
  expect(others.sort()).toEqual(["LICENSE", "README.md", "package.json"]);
  for (const path of Object.values(manifest.exports).flatMap((entry) => Object.values(entry as object))) {
    if (typeof path === "string" && path.startsWith("./dist/")) expect(files).toContain(path.slice(2));
  }
});

test("every public name is described", async () => {
  // Whatever lacks words is an error there.
  await promisify(execFile)("npx", ["--no-install", "typedoc", "--emit", "none"], { cwd: ROOT });
});

test("every entry can be imported by its name", async () => {
  const names = Object.keys(manifest.exports).filter((name) => name !== "./package.json");
  const script = names.map((name) => `await import("${manifest.name}${name.slice(1)}");`).join("\n");
  await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], { cwd: ROOT });
});

/** Runs a script to its end, which has to come by itself, and returns what it wrote. */
async function runToEnd(script: string): Promise<{ readonly code: number | null; readonly text: string }> {
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], { cwd: ROOT });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes) => (text += bytes));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, text };
}

test("a program whose connection failed, timed out or was closed ends by itself", async () => {
  const script = `
    import { createServer } from "node:net";
    import { WebSocketServer } from "ws";
    import { connect } from "${manifest.name}";
    const silent = createServer((socket) => socket.on("error", () => {}));
    await new Promise((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const url = "ws://127.0.0.1:" + silent.address().port;
    const kinds = [];
    const failed = (error) => kinds.push(error.kind ?? error);
    await connect("ws://127.0.0.1:1").catch(failed);
    await connect(url, { connectTimeoutMs: 20 }).catch(failed);
    await connect(url, { signal: AbortSignal.timeout(20) }).catch((error) => kinds.push(error.name));
    silent.close();
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    await new Promise((resolve) => server.once("listening", resolve));
    server.on("connection", (socket) => socket.on("message", (data) => {
      const { id, method } = JSON.parse(data);
      if (method === "initialize") socket.send(JSON.stringify({ id, result: { sessionId: "s" } }));
    }));
    const client = await connect("ws://127.0.0.1:" + server.address().port);
    const waiting = client.ping().catch(failed);
    await client.close();
    await waiting;
    server.close();
    console.log(kinds.join());
  `;
  expect(await runToEnd(script)).toEqual({ code: 0, text: "connectFailed,timeout,TimeoutError,closed\n" });
});

test("a program whose client was closed while it looked for its server ends by itself, and every wait with it", async () => {
  const script = `
    import { WebSocketServer } from "ws";
    import { connect } from "${manifest.name}";
    import { ExecutorTransport } from "${manifest.name}/mcp";
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    await new Promise((resolve) => server.once("listening", resolve));
    const capabilities = { fsWatch: true, processList: true };
    const environmentInfo = { shell: { name: "sh", path: "/bin/sh" }, cwd: "file:///", capabilities };
    server.on("connection", (socket) => socket.on("message", (data) => {
      const { id, method, params } = JSON.parse(data);
      const result = {
        initialize: { sessionId: "s", environmentInfo },
        "process/start": { processId: params?.processId },
      }[method];
      if (result !== undefined) socket.send(JSON.stringify({ id, result }));
    }));
    let lost;
    const recovering = new Promise((resolve) => (lost = resolve));
    const client = await connect("ws://127.0.0.1:" + server.address().port, {
      onState: ({ status }) => status === "recovering" && lost(),
    });
    const handle = await client.process.start({ argv: ["x"], stdin: "pipe" });
    const mcp = new ExecutorTransport(client, { argv: ["x"], graceMs: 60_000 });
    const over = new Promise((resolve) => (mcp.onclose = resolve));
    await mcp.start();
    const waits = [
      handle.exited,
      handle.output(),
      handle.write("x"),
      handle.lines().next(),
      client.process.run({ argv: ["x"] }),
      client.process.list(),
      client.fs.readText("/x"),
      client.fs.watch("/x").next(),
      client.http.fetch("http://x/"),
    ];
    const kinds = waits.map((wait) => wait.then(() => "none", (error) => error.kind));
    for (const socket of server.clients) socket.terminate();
    server.close();
    await recovering;
    await client.close();
    await over;
    await handle[Symbol.asyncDispose]();
    console.log((await Promise.all(kinds)).join());
  `;
  const sent = "outcomeUnknown";
  const text = `${["closed", "closed", "closed", "closed", "closed", "closed", "closed", "closed", sent].join()}\n`;
  expect(await runToEnd(script)).toEqual({ code: 0, text });
});
