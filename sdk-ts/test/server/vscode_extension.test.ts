// The example extension over the real server, in a fake of the editor.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type * as vscode from "vscode";
import { bundle } from "../../examples/vscode/build.mjs";
import manifest from "../../examples/vscode/package.json" with { type: "json" };
import { type Context, type Host, RemoteMachine, SCHEME } from "../../examples/vscode/src/remote_machine.js";
import { connect } from "../../src/index.js";
import { fakeVsCode } from "../support/fake_vscode.js";
import { TestServer } from "../support/server.js";

type Pty = vscode.Pseudoterminal;

/** As much of the editor as the extension uses, with all that it was told. */
class FakeEditor {
  readonly commands = new Map<string, (...args: unknown[]) => unknown>();
  readonly terminals: Pty[] = [];
  readonly providers = new Map<string, vscode.FileSystemProvider>();
  readonly errors: { readonly message: string; readonly remedy: string }[] = [];
  readonly folders: { readonly uri: vscode.Uri }[] = [];
  readonly secrets = new Map<string, string>();
  readonly state = new Map<string, unknown>();
  readonly status = { text: "", name: "", show: () => {}, dispose: () => {} };
  url = "";
  /** What is typed where something is asked for. */
  typed: string | undefined;

  readonly host = {
    ...fakeVsCode,
    Uri: { from: (parts: object) => parts },
    commands: {
      registerCommand: (name: string, act: (...args: unknown[]) => unknown) => {
        this.commands.set(name, act);
        return { dispose: () => this.commands.delete(name) };
      },
      executeCommand: (name: string) => this.run(name),
    },
    window: {
      createStatusBarItem: () => this.status,
      createTerminal: ({ pty }: { pty: Pty }) => {
        this.terminals.push(pty);
        return { show: () => {} };
      },
      showInputBox: async () => this.typed,
      showErrorMessage: async (message: string, remedy: string) => {
        this.errors.push({ message, remedy });
      },
    },
    workspace: {
      workspaceFolders: this.folders,
      getConfiguration: () => ({ get: () => this.url }),
      updateWorkspaceFolders: (_at: number, _gone: number, folder: { uri: vscode.Uri }) =>
        this.folders.push(folder),
      registerFileSystemProvider: (scheme: string, provider: vscode.FileSystemProvider) => {
        this.providers.set(scheme, provider);
        return { dispose: () => this.providers.delete(scheme) };
      },
    },
  } as unknown as Host;

  readonly context = {
    secrets: {
      get: async (key: string) => this.secrets.get(key),
      store: async (key: string, value: string) => void this.secrets.set(key, value),
      delete: async (key: string) => void this.secrets.delete(key),
    },
    workspaceState: {
      get: (key: string) => this.state.get(key),
      update: async (key: string, value: unknown) => void this.state.set(key, value),
    },
  } as unknown as Context;

  async run(name: string): Promise<void> {
    await this.commands.get(name)?.();
  }
}

let editor: FakeEditor;
let machine: RemoteMachine;
let server: TestServer;
/** The home folder of the server's user: what a login shell finds in one of the machine's may take minutes, or input. */
let home: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "extension-"));
  server = await TestServer.start([], { env: { HOME: home } });
  editor = new FakeEditor();
  editor.url = server.url;
  machine = new RemoteMachine(editor.host, editor.context);
});

afterEach(async () => {
  await machine.disconnect();
  machine.dispose();
  await server[Symbol.asyncDispose]();
  await rm(home, { recursive: true });
});

test("has every command that its manifest promises, and takes them away with it", () => {
  const promised = manifest.contributes.commands.map(({ command }) => command);
  expect([...editor.commands.keys()].sort()).toEqual(promised.sort());
  machine.dispose();
  expect(editor.commands.size).toBe(0);
});

test("connects when it is first used, and opens a terminal there", async () => {
  expect(editor.status.text).toContain("not connected");
  await editor.run("codexExec.openTerminal");
  expect(editor.errors).toEqual([]);
  expect(editor.status.text).toMatch(/ connected$/);
  const pty = editor.terminals[0]!;
  let screen = "";
  pty.onDidWrite((text) => {
    // It asks when it is there.
    if (screen === "") pty.handleInput?.("echo $((6 * 7)); exit 3\r");
    screen += text;
  });
  const closed = new Promise((resolve) => pty.onDidClose?.(resolve));
  pty.open({ rows: 24, columns: 80 });
  expect(await closed).toBe(3);
  expect(screen).toContain("42");
});

test("shows files under its scheme, beginning with the home folder, and again when the editor was restarted", async () => {
  await writeFile(join(home, "words"), "hello");
  await editor.run("codexExec.openFolder");
  const { uri } = editor.folders[0]!;
  expect(uri).toMatchObject({ scheme: SCHEME, path: home });
  const read = async (): Promise<string> => {
    const provider = editor.providers.get(SCHEME);
    const bytes = await provider?.readFile({ path: `${uri.path}/words` } as vscode.Uri);
    return new TextDecoder().decode(bytes);
  };
  expect(await read()).toBe("hello");
  machine.dispose();
  expect(editor.providers.size).toBe(0);
  machine = new RemoteMachine(editor.host, editor.context);
  await machine.showFolders();
  expect(await read()).toBe("hello");
});

test("connects for nobody where no files are shown", async () => {
  await machine.showFolders();
  expect(editor.status.text).toContain("not connected");
});

test("gives up connecting when it is told to disconnect, and is as before", async () => {
  const connecting = machine.client();
  await machine.disconnect();
  await expect(connecting).rejects.toThrow("disconnected meanwhile");
  expect(editor.providers.size).toBe(0);
  expect(editor.status.text).toContain("not connected");
  await machine.client();
  expect(editor.status.text).toMatch(/ connected$/);
});

test("connects anew when another window has taken its session over and it is used again", async () => {
  const { sessionId } = await machine.client();
  await using other = await connect(server.url, { sessionId, takeover: true });
  await vi.waitUntil(() => editor.status.text.includes("not connected"), { timeout: 60_000 });
  expect(editor.providers.size).toBe(0);
  expect((await machine.client()).sessionId).toBe(other.sessionId);
});

test("finds its session again when the editor was restarted, and begins anew where it is gone", async () => {
  const first = (await machine.client()).sessionId;
  machine.dispose();
  machine = new RemoteMachine(editor.host, editor.context);
  expect((await machine.client()).sessionId).toBe(first);
  await machine.disconnect();
  editor.state.set("session", "no such session");
  expect((await machine.client()).sessionId).not.toBe(first);
});

test("says what to do where there is no server, or no address", async () => {
  for (const url of ["ws://127.0.0.1:1", "nonsense"]) {
    editor.url = url;
    await editor.run("codexExec.openTerminal");
  }
  expect(editor.errors).toMatchObject([
    { message: expect.stringContaining("is the server running"), remedy: "Open Settings" },
    { message: expect.stringContaining('codexExec.url is "nonsense"'), remedy: "Open Settings" },
  ]);
  expect(editor.status.text).toContain("not connected");
});

test("asks for a token where the server wants one, and keeps it among the secrets", async () => {
  const folder = await mkdtemp(join(tmpdir(), "extension-"));
  try {
    await writeFile(join(folder, "token"), "secret");
    const auth = ["--ws-auth", "capability-token", "--ws-token-file", join(folder, "token")];
    await using guarded = await TestServer.start(auth);
    editor.url = guarded.url;
    await editor.run("codexExec.openTerminal");
    expect(editor.errors).toMatchObject([{ remedy: "Set the Token" }]);
    editor.typed = " secret\n";
    await editor.run("codexExec.signIn");
    expect(editor.secrets.get("token")).toBe("secret");
    await editor.run("codexExec.openTerminal");
    expect(editor.terminals).toHaveLength(1);
    await machine.disconnect();
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.each(["node", "browser"] as const)("is bundled for the host of %s", async (platform) => {
  const { warnings, outputFiles } = await bundle(platform);
  expect(warnings).toEqual([]);
  const text = outputFiles?.[0]?.text ?? "";
  if (platform === "browser") expect(text).not.toMatch(/require\("(?!vscode")|import\("ws"\)/);
});
