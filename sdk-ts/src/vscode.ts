// VS Code's ways to show what runs and lies elsewhere: a terminal and a file system over a client. The editor's module is
// handed in, so that nothing is needed at run time and tests can bring one of their own.

import type * as vscode from "vscode";
import type { Client } from "./client.js";
import { ExecError } from "./errors.js";
import type { FsStat } from "./fs_types.js";
import type { ProcessHandle } from "./process.js";
import type { StartOptions } from "./process_options.js";

/** As much of the module `vscode` as is used here: pass the module itself. */
export type VsCode = Pick<
  typeof vscode,
  "EventEmitter" | "FileSystemError" | "FileType" | "FileChangeType" | "Uri"
>;

/** What runs in the terminal; its size is the editor's. */
export type TerminalOptions = Omit<StartOptions, "tty" | "stdin">;

/**
 * A terminal whose process runs on a server.
 *
 * ```ts
 * const pty = new RemotePseudoterminal(vscode, client, { argv: ["bash", "-l"] });
 * vscode.window.createTerminal({ name: "build box", pty }).show();
 * ```
 */
export class RemotePseudoterminal implements vscode.Pseudoterminal {
  readonly onDidWrite: vscode.Event<string>;
  readonly onDidClose: vscode.Event<number | undefined>;
  readonly #write: vscode.EventEmitter<string>;
  readonly #close: vscode.EventEmitter<number | undefined>;
  readonly #client: Client;
  readonly #options: TerminalOptions;
  #process: Promise<ProcessHandle> | undefined;
  readonly #decoder = new TextDecoder();

  constructor({ EventEmitter }: VsCode, client: Client, options: TerminalOptions) {
    this.#write = new EventEmitter<string>();
    this.#close = new EventEmitter<number | undefined>();
    this.onDidWrite = this.#write.event;
    this.onDidClose = this.#close.event;
    this.#client = client;
    this.#options = options;
  }

  /** Called by the editor when the terminal is shown. */
  open(size: vscode.TerminalDimensions | undefined): void {
    const canResize = this.#client.supports("processResize");
    const tty = size === undefined || !canResize ? true : { rows: size.rows, cols: size.columns };
    this.#process = this.#client.process.start({ ...this.#options, tty });
    void this.#follow(this.#process);
  }

  /** Called by the editor when the terminal is closed: the process ends with every descendant. */
  close(): void {
    this.#do(async (process) => process[Symbol.asyncDispose]());
  }

  /** What is typed. */
  handleInput(data: string): void {
    this.#do((process) => process.write(data));
  }

  setDimensions({ rows, columns }: vscode.TerminalDimensions): void {
    if (this.#client.supports("processResize"))
      this.#do((process) => process.resize({ rows, cols: columns }));
  }

  async #follow(started: Promise<ProcessHandle>): Promise<void> {
    let exitCode: number | undefined;
    try {
      const process = await started;
      for await (const event of process) {
        if (event.type === "output") this.#write.fire(this.#decoder.decode(event.bytes, { stream: true }));
        else if (event.type === "gap") this.#say(`${event.bytes ?? "some"} bytes are not retained any more`);
        else if (event.type === "exited") exitCode = event.exitCode;
      }
    } catch (error) {
      this.#say((error as Error).message);
    }
    this.#close.fire(exitCode);
  }

  #say(text: string): void {
    this.#write.fire(`\r\n[${text}]\r\n`);
  }

  /** What fails here fails because the process or the connection ended, which is told by its events. */
  #do(act: (process: ProcessHandle) => Promise<void>): void {
    this.#process?.then(act).catch(() => {});
  }
}

/**
 * Files of a server under a scheme of the extension's: `scheme:/path` is `/path` there.
 *
 * ```ts
 * vscode.workspace.registerFileSystemProvider("exec", new RemoteFileSystem(vscode, client));
 * ```
 */
export class RemoteFileSystem implements vscode.FileSystemProvider {
  readonly onDidChangeFile: vscode.Event<vscode.FileChangeEvent[]>;
  readonly #changes: vscode.EventEmitter<vscode.FileChangeEvent[]>;
  readonly #vscode: VsCode;
  readonly #client: Client;

  constructor(editor: VsCode, client: Client) {
    this.#vscode = editor;
    this.#client = client;
    this.#changes = new editor.EventEmitter<vscode.FileChangeEvent[]>();
    this.onDidChangeFile = this.#changes.event;
  }

  /** Watches, where the server can; otherwise the editor hears of its own changes only. */
  watch(
    uri: vscode.Uri,
    { recursive, excludes }: { readonly recursive: boolean; readonly excludes: readonly string[] },
  ): vscode.Disposable {
    const stop = new AbortController();
    if (this.#client.supports("fsWatch"))
      void this.#watch(uri, { recursive, exclude: excludes, signal: stop.signal });
    return { dispose: () => stop.abort() };
  }

  async stat(uri: vscode.Uri): Promise<vscode.FileStat> {
    const stat = await this.#try(uri, () => this.#client.fs.stat(uri.path));
    return { type: this.#type(stat), ctime: stat.createdAtMs, mtime: stat.modifiedAtMs, size: stat.size };
  }

  async readDirectory(uri: vscode.Uri): Promise<[string, vscode.FileType][]> {
    const { FileType } = this.#vscode;
    const entries = await this.#try(uri, () => this.#client.fs.readDirectory(uri.path));
    return entries.map(({ fileName, isDirectory, isFile }) => {
      return [fileName, isDirectory ? FileType.Directory : isFile ? FileType.File : FileType.Unknown];
    });
  }

  createDirectory(uri: vscode.Uri): Promise<void> {
    return this.#try(uri, () => this.#client.fs.createDirectory(uri.path, { recursive: false }));
  }

  readFile(uri: vscode.Uri): Promise<Uint8Array> {
    return this.#try(uri, () => this.#client.fs.readFile(uri.path));
  }

  async writeFile(
    uri: vscode.Uri,
    content: Uint8Array,
    { create, overwrite }: { readonly create: boolean; readonly overwrite: boolean },
  ): Promise<void> {
    const { FileSystemError } = this.#vscode;
    await this.#try(uri, async () => {
      if (!create || !overwrite) {
        const exists = await this.#client.fs.exists(uri.path);
        if (!exists && !create) throw FileSystemError.FileNotFound(uri);
        if (exists && !overwrite) throw FileSystemError.FileExists(uri);
      }
      const atomic = this.#client.supports("fsExtended");
      await this.#client.fs.writeFile(uri.path, content, { ...(atomic && { atomic }) });
    });
  }

  delete(uri: vscode.Uri, { recursive }: { readonly recursive: boolean }): Promise<void> {
    return this.#try(uri, () => this.#client.fs.remove(uri.path, { recursive, force: false }));
  }

  async rename(
    from: vscode.Uri,
    to: vscode.Uri,
    { overwrite }: { readonly overwrite: boolean },
  ): Promise<void> {
    const { fs } = this.#client;
    await this.#try(to, async () => {
      if (this.#client.supports("fsExtended")) return fs.rename(from.path, to.path, { overwrite });
      if (!overwrite && (await fs.exists(to.path))) throw this.#vscode.FileSystemError.FileExists(to);
      await fs.copy(from.path, to.path, { recursive: true });
      await fs.remove(from.path, { force: false });
    });
  }

  copy(from: vscode.Uri, to: vscode.Uri, { overwrite }: { readonly overwrite: boolean }): Promise<void> {
    const { fs } = this.#client;
    return this.#try(to, async () => {
      if (!overwrite && (await fs.exists(to.path))) throw this.#vscode.FileSystemError.FileExists(to);
      await fs.copy(from.path, to.path, { recursive: true });
    });
  }

  async #watch(
    uri: vscode.Uri,
    options: {
      readonly recursive: boolean;
      readonly exclude: readonly string[];
      readonly signal: AbortSignal;
    },
  ): Promise<void> {
    const { FileChangeType } = this.#vscode;
    const kinds = {
      created: FileChangeType.Created,
      modified: FileChangeType.Changed,
      removed: FileChangeType.Deleted,
    };
    try {
      for await (const change of this.#client.fs.watch(uri.path, options)) {
        // Where some were missed, the editor looks at the folder again.
        const { path, kind } =
          change.type === "changed" ? change : ({ path: uri.path, kind: "modified" } as const);
        this.#changes.fire([{ type: kinds[kind], uri: uri.with({ path }) }]);
      }
    } catch {
      // Aborted, or the path is not there: the editor asks again when it needs to.
    }
  }

  #type({ isDirectory, isFile, isSymlink }: FsStat): vscode.FileType {
    const { FileType } = this.#vscode;
    const type = isDirectory ? FileType.Directory : isFile ? FileType.File : FileType.Unknown;
    return isSymlink ? type | FileType.SymbolicLink : type;
  }

  async #try<T>(uri: vscode.Uri, act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      throw this.#told(uri, error);
    }
  }

  /** The editor tells failures apart by its own kinds. */
  #told(uri: vscode.Uri, error: unknown): unknown {
    const { FileSystemError } = this.#vscode;
    if (!(error instanceof ExecError)) return error;
    switch (error.kind) {
      case "notFound":
        return FileSystemError.FileNotFound(uri);
      case "alreadyExists":
        return FileSystemError.FileExists(uri);
      case "notADirectory":
        return FileSystemError.FileNotADirectory(uri);
      case "isADirectory":
        return FileSystemError.FileIsADirectory(uri);
      case "permissionDenied":
        return FileSystemError.NoPermissions(uri);
      case "disconnected":
      case "closed":
      case "takenOver":
      case "sessionLost":
        return FileSystemError.Unavailable(error.message);
      default:
        return error;
    }
  }
}
