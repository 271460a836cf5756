// As much of the editor as the adapters use, for tests without one.

import type * as vscode from "vscode";
import type { VsCode } from "../../src/vscode.js";

class FakeEmitter<T> {
  readonly #listeners = new Set<(event: T) => unknown>();

  readonly event = (listener: (event: T) => unknown) => {
    this.#listeners.add(listener);
    return { dispose: () => this.#listeners.delete(listener) };
  };

  fire(event: T): void {
    for (const listener of this.#listeners) listener(event);
  }

  dispose(): void {
    this.#listeners.clear();
  }
}

class FakeUri {
  readonly scheme = "exec";
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  with({ path }: { readonly path?: string }): FakeUri {
    return new FakeUri(path ?? this.path);
  }
}

class FakeError extends Error {
  readonly code: string;

  constructor(code: string, about: unknown) {
    super(`${code}: ${about instanceof FakeUri ? about.path : about}`);
    this.code = code;
  }

  static FileNotFound = (about: unknown) => new FakeError("FileNotFound", about);
  static FileExists = (about: unknown) => new FakeError("FileExists", about);
  static FileNotADirectory = (about: unknown) => new FakeError("FileNotADirectory", about);
  static FileIsADirectory = (about: unknown) => new FakeError("FileIsADirectory", about);
  static NoPermissions = (about: unknown) => new FakeError("NoPermissions", about);
  static Unavailable = (about: unknown) => new FakeError("Unavailable", about);
}

/** The module, as far as it goes. */
export const fakeVsCode = {
  EventEmitter: FakeEmitter,
  FileSystemError: FakeError,
  FileType: { Unknown: 0, File: 1, Directory: 2, SymbolicLink: 64 },
  FileChangeType: { Changed: 1, Created: 2, Deleted: 3 },
  Uri: FakeUri,
} as unknown as VsCode;

/** A URI of the fake. */
export function uri(path: string): vscode.Uri {
  return new FakeUri(path) as unknown as vscode.Uri;
}
