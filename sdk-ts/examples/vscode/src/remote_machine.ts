// A machine in the editor: its terminals, its files, and whether it is connected. Connects when something is first used, and
// takes up the same session again when the editor's host was restarted.

import { type Client, connect, fromPathUri, isExecError, type SessionStore } from "codex-exec-server-sdk";
import { RemoteFileSystem, RemotePseudoterminal, type VsCode } from "codex-exec-server-sdk/vscode";
import type * as vscode from "vscode";

/** As much of the module `vscode` as is used here. */
export type Host = VsCode & Pick<typeof vscode, "commands" | "window" | "workspace">;

/** As much of what the editor gives an extension. */
export type Context = Pick<vscode.ExtensionContext, "secrets" | "workspaceState">;

/** `codex-exec:/path` is `/path` on the machine. */
export const SCHEME = "codex-exec";
const TOKEN = "token";
const SESSION = "session";
/** How long the server is asked to keep the session while the editor is closed. */
const KEPT_MS = 60 * 60_000;

/** A connection that is being made, or was. */
interface Connection {
  readonly client: Promise<Client>;
  /** Ends the attempt, if there is no client yet. */
  readonly stop: AbortController;
}

/** See the head of the file. */
export class RemoteMachine implements vscode.Disposable {
  readonly #host: Host;
  readonly #context: Context;
  readonly #status: vscode.StatusBarItem;
  readonly #registered: vscode.Disposable[];
  /** The session, so that a restart of the editor finds it again. */
  readonly #store: SessionStore;
  #connection: Connection | undefined;
  /** Where the files of the present client are shown. */
  #files: vscode.Disposable | undefined;

  constructor(host: Host, context: Context) {
    this.#host = host;
    this.#context = context;
    this.#store = {
      load: () => context.workspaceState.get<string>(SESSION),
      save: (token) => context.workspaceState.update(SESSION, token),
    };
    this.#status = host.window.createStatusBarItem("codexExec.status");
    this.#status.name = "Remote machine";
    this.#say("not connected");
    const { registerCommand } = host.commands;
    this.#registered = [
      this.#status,
      registerCommand("codexExec.openTerminal", () => this.#try(() => this.openTerminal())),
      registerCommand("codexExec.openFolder", () => this.#try(() => this.openFolder())),
      registerCommand("codexExec.signIn", () => this.#try(() => this.signIn())),
      registerCommand("codexExec.disconnect", () => this.disconnect()),
    ];
  }

  /** The client, connecting it where there is none, or where the last one failed. */
  client(): Promise<Client> {
    if (this.#connection === undefined) {
      const stop = new AbortController();
      const client = this.#connect(stop.signal).catch((error: unknown) => {
        // Unless another one has taken its place by now.
        if (this.#connection?.stop === stop) this.#forget();
        throw error;
      });
      this.#connection = { client, stop };
    }
    return this.#connection.client;
  }

  /** Connects at once where the workspace shows files of the machine already, as it does when the editor was restarted. */
  async showFolders(): Promise<void> {
    const isShown = this.#host.workspace.workspaceFolders?.some(({ uri }) => uri.scheme === SCHEME);
    if (isShown === true) await this.#try(async () => void (await this.client()));
  }

  /** A terminal with the login shell of the server's user. Closing it ends the shell. */
  async openTerminal(): Promise<void> {
    const client = await this.client();
    const { shell } = client.server;
    const env = { TERM: "xterm-256color", COLORTERM: "truecolor" };
    const pty = new RemotePseudoterminal(this.#host, client, { argv: [shell.path, "-l"], env });
    this.#host.window.createTerminal({ name: `${shell.name} (${this.#url().host})`, pty }).show();
  }

  /** The home folder of the server's user, beside the folders that are open. */
  async openFolder(): Promise<void> {
    const { server } = await this.client();
    const home = server.userHomeDir ?? server.cwd;
    const path = home === undefined ? "/" : fromPathUri(home);
    const { workspace, Uri } = this.#host;
    const uri = Uri.from({ scheme: SCHEME, path });
    workspace.updateWorkspaceFolders(workspace.workspaceFolders?.length ?? 0, 0, {
      uri,
      name: this.#url().host,
    });
  }

  /** Asks for the token and keeps it among the editor's secrets; nothing typed forgets it. */
  async signIn(): Promise<void> {
    const prompt = `Token of ${this.#url().host}`;
    const token = await this.#host.window.showInputBox({ prompt, password: true, ignoreFocusOut: true });
    if (token === undefined) return;
    const { secrets } = this.#context;
    await (token.trim() === "" ? secrets.delete(TOKEN) : secrets.store(TOKEN, token.trim()));
    await this.disconnect();
  }

  /** Lets go of the connection, or of the attempt to make one; the server keeps the session for a while. */
  async disconnect(): Promise<void> {
    const connection = this.#connection;
    this.#forget();
    connection?.stop.abort(new Error("disconnected meanwhile"));
    await connection?.client.then((client) => client.close()).catch(() => {});
  }

  dispose(): void {
    void this.disconnect();
    for (const registered of this.#registered.splice(0)) registered.dispose();
  }

  /** There is no client any more, and nothing of it is shown. */
  #forget(): void {
    this.#connection = undefined;
    this.#files?.dispose();
    this.#files = undefined;
    this.#say("not connected");
  }

  async #connect(signal: AbortSignal): Promise<Client> {
    const url = this.#url();
    this.#say("connecting");
    const token = await this.#context.secrets.get(TOKEN);
    const client = await connect(url, {
      clientName: "codex-exec-server-remote",
      detachedLifetimeMs: KEPT_MS,
      signal,
      onState: ({ status }) => {
        if (signal.aborted) return;
        // One that failed does not come back: what is used next connects anew.
        if (status === "failed") this.#forget();
        else this.#say(status);
      },
      ...(token !== undefined && { token }),
      store: this.#store,
    });
    if (signal.aborted) {
      await client.close();
      throw signal.reason;
    }
    const files = new RemoteFileSystem(this.#host, client);
    this.#files = this.#host.workspace.registerFileSystemProvider(SCHEME, files, { isCaseSensitive: true });
    this.#say("connected");
    return client;
  }

  #url(): URL {
    const url = this.#host.workspace.getConfiguration("codexExec").get("url", "");
    if (!URL.canParse(url)) throw new Error(`codexExec.url is ${JSON.stringify(url)}, which is no URL`);
    return new URL(url);
  }

  /** Does what a command is for; what goes wrong is told with what to do about it. */
  async #try(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      const { window, commands } = this.#host;
      const message = error instanceof Error ? error.message : String(error);
      const wantsToken = isExecError(error, "unauthorized");
      const remedy = wantsToken ? "Set the Token" : "Open Settings";
      // Nobody waits for an answer that may never come.
      void window.showErrorMessage(`Remote machine: ${message}`, remedy).then((chosen) => {
        if (chosen !== remedy) return;
        if (wantsToken) void commands.executeCommand("codexExec.signIn");
        else void commands.executeCommand("workbench.action.openSettings", "codexExec.url");
      });
    }
  }

  #say(words: string): void {
    this.#status.text = `$(remote) ${words}`;
    this.#status.show();
  }
}
