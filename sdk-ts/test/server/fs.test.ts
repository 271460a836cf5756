// Files, as users of the library see them, on the real server.

import { createHash } from "node:crypto";
import { chmod, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type CapabilityFlag, type Client, connect, type FsChangeEvent, toPathUri } from "../../src/index.js";
import { RemoteFileSystem } from "../../src/vscode.js";
import { all } from "../support/collect.js";
import { fakeVsCode, uri } from "../support/fake_vscode.js";
import { FaultyProxy } from "../support/proxy.js";
import { TestServer } from "../support/server.js";

let server: TestServer;
let proxy: FaultyProxy;
let client: Client;
let home: string;

beforeEach(async () => {
  server = await TestServer.start();
  proxy = await FaultyProxy.start(server.port);
  client = await connect(proxy.url, { recoveryPauseMs: 5 });
  home = await mkdtemp(join(tmpdir(), "sdk-fs-"));
});

afterEach(async () => {
  await client?.close();
  await proxy?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
  await rm(home, { recursive: true });
});

/** Leaves a test out, and says so, where the server can't do what it is about. */
function needs(skip: (condition: boolean, note: string) => void, flag: CapabilityFlag): void {
  skip(!client.supports(flag), `the server has no ${flag}`);
}

describe("files", () => {
  test("are written, read, described, copied, moved and removed", async ({ skip }) => {
    needs(skip, "fsExtended");
    const file = join(home, "a b.txt");
    await client.fs.writeFile(file, "text");
    expect(await client.fs.readText(file)).toBe("text");
    expect(await client.fs.readFile(toPathUri(file) ?? "")).toEqual(new TextEncoder().encode("text"));
    expect(await client.fs.stat(file)).toMatchObject({ isFile: true, isDirectory: false, size: 4 });
    expect(await client.fs.append(file, " and more")).toBe(13);
    await client.fs.copy(file, join(home, "copy"));
    await client.fs.rename(join(home, "copy"), join(home, "moved"));
    expect(await readFile(join(home, "moved"), "utf8")).toBe("text and more");
    await client.fs.setPermissions(file, 0o600);
    expect((await client.fs.stat(file)).mode).toBe(0o600);
    if (client.supports("fsTransfer")) {
      await client.fs.setPermissions(file, 0o640, { modifiedAtMs: 981_173_106_789 });
      expect(await client.fs.stat(file)).toMatchObject({ mode: 0o640, modifiedAtMs: 981_173_106_789 });
    }
    await client.fs.remove(file);
    expect(await client.fs.exists(file)).toBe(false);
    expect(await client.fs.exists(join(home, "moved", "below"))).toBe(false);
  });

  test("are replaced only over the content that was seen", async ({ skip }) => {
    needs(skip, "fsExtended");
    const file = join(home, "f");
    const first = await client.fs.writeFile(file, "one", { ifMatch: "" });
    await client.fs.writeFile(file, "two", {
      ...(first !== undefined && { ifMatch: first }),
      atomic: true,
      mode: 0o640,
    });
    expect((await client.fs.stat(file)).mode).toBe(0o640);
    await expect(client.fs.writeFile(file, "three", { ifMatch: first ?? "" })).rejects.toMatchObject({
      kind: "invalidRequest",
    });
    expect(await client.fs.readText(file)).toBe("two");
  });

  test("are read in parts and as streams, and written as streams", async ({ skip }) => {
    needs(skip, "fsExtended");
    const file = join(home, "large");
    const content = Buffer.alloc(700_001, "0123456789");
    await new Response(content).body!.pipeTo(client.fs.writeStream(file) as WritableStream<Uint8Array>);
    expect((await readFile(file)).equals(content)).toBe(true);
    const read = await new Response(client.fs.readStream(file)).arrayBuffer();
    expect(Buffer.from(read).equals(content)).toBe(true);
    const part = await client.fs.readRange(file, 700_000, 10);
    expect([new TextDecoder().decode(part.bytes), part.eof, part.size]).toEqual(["0", true, 700_001]);
  });

  test("that are open end with their connection, and say so", async ({ skip }) => {
    needs(skip, "fsExtended");
    const file = join(home, "f");
    await writeFile(file, "text");
    await using handle = await client.fs.open(file);
    expect(new TextDecoder().decode(await handle.read(1, 2))).toBe("ex");
    proxy.cut();
    await expect(handle.read(0, 1)).rejects.toMatchObject({ kind: "disconnected" });
    await handle.close();
    await expect(handle.read(0, 1)).rejects.toMatchObject({ kind: "disposed" });
  });

  test("tell what is wrong by kind", async ({ skip }) => {
    needs(skip, "fsExtended");
    await writeFile(join(home, "file"), "");
    await expect(client.fs.readFile(join(home, "none"))).rejects.toMatchObject({
      kind: "notFound",
      errno: "ENOENT",
    });
    await expect(client.fs.createDirectory(join(home, "file"), { recursive: false })).rejects.toMatchObject({
      kind: "alreadyExists",
    });
    await expect(client.fs.readDirectory(join(home, "file"))).rejects.toMatchObject({
      kind: "notADirectory",
    });
    await expect(client.fs.remove(join(home, "none"), { force: false })).rejects.toMatchObject({
      kind: "notFound",
    });
  });
});

test("directories are made, listed, walked and looked up at once", async ({ skip }) => {
  needs(skip, "fsExtended");
  const inner = join(home, "a", "b");
  await client.fs.createDirectory(inner);
  await client.fs.writeFile(join(inner, "f"), "");
  await symlink(inner, join(home, "link"));
  expect((await client.fs.readDirectory(join(home, "a"))).map(({ fileName }) => fileName)).toEqual(["b"]);
  const { entries, truncated } = await client.fs.walk(home);
  expect(entries.map(({ path }) => path)).toEqual([join(home, "a"), inner, join(inner, "f")]);
  expect(truncated).toBe(false);
  expect(await client.fs.realPath(join(home, "link", "f"))).toBe(join(inner, "f"));
  const stats = await client.fs.statMany([inner, join(home, "none")]);
  expect(stats.map((stat) => stat?.isDirectory)).toEqual([true, undefined]);
});

test("changes are told as they happen, and a lost connection as a reason to look again", async ({ skip }) => {
  needs(skip, "fsWatch");
  const changes = client.fs.watch(home);
  let first: FsChangeEvent | undefined;
  const next = changes.next().then(({ value }) => {
    first = value ?? undefined;
  });
  // Nothing tells when the watch stands but what it tells.
  for (let n = 0; first === undefined; n++) {
    await writeFile(join(home, `new${n}`), "x");
    await client.ping();
  }
  await next;
  expect(first).toMatchObject({ type: "changed", path: expect.stringContaining(join(home, "new")) });
  proxy.cut();
  let event: FsChangeEvent | undefined;
  do event = (await changes.next()).value ?? undefined;
  while (event?.type === "changed");
  expect(event).toEqual({ type: "resync" });
  await changes.return();
});

test("paths are found by globs, lines by patterns, and a search can be left", async ({ skip }) => {
  needs(skip, "fsSearch");
  for (const name of ["a.ts", "b.ts", "c.md"]) await writeFile(join(home, name), `one\n${name} two\n`);
  const found = await all(client.fs.glob(home, "*.ts"));
  expect(found.map(({ path }) => path).sort()).toEqual([join(home, "a.ts"), join(home, "b.ts")]);
  const lines = await all(client.fs.search(home, "t[w]o$", { include: ["*.md"] }));
  expect(lines).toMatchObject([{ path: join(home, "c.md"), line: 2, text: "c.md two" }]);
  for await (const _match of client.fs.search(home, "o")) break;
  await expect(client.fs.search(home, "(").next()).rejects.toMatchObject({ kind: "invalidParams" });
});

test("a search that finds much waits for its reader, and gives everything", async ({ skip }) => {
  needs(skip, "fsSearch");
  const lines = 60_000;
  await writeFile(
    join(home, "many"),
    Array.from({ length: lines }, (_, n) => `line ${n} ${"x".repeat(60)}\n`).join(""),
  );
  let found = 0;
  for await (const { line } of client.fs.search(home, "^line")) {
    found += 1;
    expect(line).toBe(found);
    // Everything else goes on meanwhile.
    if (found % 10_000 === 0) await client.ping();
    if (found === 30_000) expect(proxy.bytes).toBeLessThan(lines * 120);
  }
  expect(found).toBe(lines);
});

test("parts are written, checked and linked in place, without a handle that a cut would end", async ({
  skip,
}) => {
  needs(skip, "fsTransfer");
  const file = join(home, "f");
  expect(await client.fs.writeRange(file, 0, "hello world", { create: true, mode: 0o600, sync: true })).toBe(
    11,
  );
  const written = client.fs.writeRange(file, 6, "there");
  proxy.cut();
  expect(await written).toBe(11);
  expect(await readFile(file, "utf8")).toBe("hello there");
  const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
  expect(await client.fs.digest(file)).toMatchObject({ sha256: sha256("hello there"), len: 11 });
  expect(await client.fs.digest(file, { length: 5 })).toMatchObject({ sha256: sha256("hello"), len: 5 });
  await expect(client.fs.writeRange(join(home, "none"), 0, "x")).rejects.toMatchObject({ kind: "notFound" });
  const link = join(home, "link");
  await client.fs.createLink(link, "f");
  expect((await client.fs.readLink(link)).target).toBe("f");
  await expect(client.fs.createLink(link, "g")).rejects.toMatchObject({ kind: "alreadyExists" });
  const bytes = new Uint8Array([0x67, 0xff]);
  await client.fs.createLink(link, bytes, { overwrite: true });
  expect(await client.fs.readLink(link)).toEqual({ target: "g\ufffd", bytes });
  await expect(client.fs.readLink(file)).rejects.toMatchObject({ name: "ExecError" });
});

test("a directory is listed page by page, each entry once and in order", async ({ skip }) => {
  needs(skip, "fsTransfer");
  const names = ["a", "a b", "ä", "b%2f", "z"];
  for (const name of names) await writeFile(join(home, name), "");
  const listed = await all(client.fs.listDirectory(home, { pageEntries: 2 }));
  const inOrder = [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  expect(listed.map(({ fileName }) => fileName)).toEqual(inOrder);
  for await (const { fileName } of client.fs.listDirectory(home, { pageEntries: 1 })) {
    expect(fileName).toBe(inOrder[0]);
    break;
  }
  await expect(client.fs.listDirectory(join(home, "none")).next()).rejects.toMatchObject({
    kind: "notFound",
  });
  await expect(client.fs.listDirectory(home, { pageEntries: 0 }).next()).rejects.toMatchObject({
    kind: "invalidRequest",
  });
});

test("a path that is missing is waited for, one wait at a time, and a wait may be given up", async ({
  skip,
}) => {
  needs(skip, "fsWatchMissing");
  const path = join(home, "to come");
  const stop = new AbortController();
  const given = client.fs.waitFor([path], { signal: stop.signal });
  await expect(client.fs.waitFor([path])).rejects.toMatchObject({ kind: "invalidArgument" });
  stop.abort(new Error("enough"));
  await expect(given).rejects.toThrow("enough");
  const waiting = client.fs.waitFor([path]);
  proxy.cut();
  await client.ping();
  await writeFile(path, "");
  await waiting;
  await client.fs.waitFor([path]);
});

test("the editor's file system answers in the editor's words", async ({ skip }) => {
  needs(skip, "fsExtended");
  const fs = new RemoteFileSystem(fakeVsCode, client);
  const file = uri(join(home, "f"));
  await expect(fs.readFile(file)).rejects.toMatchObject({ code: "FileNotFound" });
  await expect(
    fs.writeFile(file, new Uint8Array(), { create: false, overwrite: true }),
  ).rejects.toMatchObject({
    code: "FileNotFound",
  });
  await fs.writeFile(file, new TextEncoder().encode("text"), { create: true, overwrite: false });
  await expect(
    fs.writeFile(file, new Uint8Array(), { create: true, overwrite: false }),
  ).rejects.toMatchObject({
    code: "FileExists",
  });
  expect(await fs.stat(file)).toMatchObject({ type: 1, size: 4 });
  expect(await fs.readDirectory(uri(home))).toEqual([["f", 1]]);
  await fs.rename(file, uri(join(home, "g")), { overwrite: false });
  expect(new TextDecoder().decode(await fs.readFile(uri(join(home, "g"))))).toBe("text");
  await fs.createDirectory(uri(join(home, "d")));
  await expect(fs.readDirectory(uri(join(home, "g")))).rejects.toMatchObject({ code: "FileNotADirectory" });
  await fs.delete(uri(join(home, "d")), { recursive: false });
  await chmod(home, 0o700);
});
