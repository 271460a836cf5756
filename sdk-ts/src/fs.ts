// `client.fs`: files on the server's machine.

import { decodeBase64, encodeBase64 } from "./core/base64.js";
import { ExecError } from "./errors.js";
import { FileHandle } from "./fs_handle.js";
import { globAll, searchAll } from "./fs_search.js";
import type {
  FsChangeEvent,
  FsContentOptions,
  FsDigest,
  FsEntry,
  FsGlobOptions,
  FsLink,
  FsLinkOptions,
  FsListOptions,
  FsMatch,
  FsOptions,
  FsRangeOptions,
  FsStat,
  FsTree,
  FsTreeOptions,
  FsWatchOptions,
  FsWriteOptions,
} from "./fs_types.js";
import { watchChanges, watchMissing } from "./fs_watch.js";
import { MAX_WALK_DEPTH, MAX_WALK_DIRECTORIES, MAX_WALK_ENTRIES } from "./generated/constants.js";
import type { ClientRequestMethod, ClientRequests } from "./generated/methods.js";
import type { FsDirectoryEntry, FsOpenMode, FsReadRangeResponse } from "./generated/types.js";
import type { Paths } from "./paths.js";
import type { Session } from "./rpc/session.js";

/** What of the options goes to the server. */
function wire<O extends FsOptions>(options: O): Omit<O, "signal"> {
  const { signal: _signal, ...rest } = options;
  return rest;
}

/** Bytes of an answer, which came as base64 or as they are. */
export function bytesOf(method: string, text: unknown): Uint8Array<ArrayBuffer> {
  if (text instanceof Uint8Array) return text as Uint8Array<ArrayBuffer>;
  const bytes = typeof text === "string" ? decodeBase64(text) : undefined;
  if (bytes === undefined)
    throw new ExecError("protocol", `server broke the protocol: ${method}: bytes are no base64`);
  return bytes;
}

function base64Of(data: string | Uint8Array): string {
  return encodeBase64(typeof data === "string" ? new TextEncoder().encode(data) : data);
}

/** See the head of the file. Paths are native or `file:` URIs; relative ones start from the server's working directory. */
export class FileSystemClient {
  readonly #session: Session;
  readonly #paths: Paths;

  /** @internal */
  constructor(session: Session, paths: Paths) {
    this.#session = session;
    this.#paths = paths;
  }

  /** Reads a whole regular file, of 512 MiB at most. */
  async readFile(path: string, options: FsLinkOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
    const params = { path: this.#paths.uri(path), ...wire(options) };
    const { dataBase64 } = await this.#read("fs/readFile", params, options);
    return bytesOf("fs/readFile", dataBase64);
  }

  /** Reads a whole file as UTF-8; what is none is replaced. */
  async readText(path: string, options: FsLinkOptions = {}): Promise<string> {
    return new TextDecoder().decode(await this.readFile(path, options));
  }

  /** Creates a file or replaces what is in it; parents must exist. Returns the new etag where the server tells. */
  async writeFile(
    path: string,
    data: string | Uint8Array,
    options: FsWriteOptions = {},
  ): Promise<string | undefined> {
    const { atomic, ifMatch, mode } = options;
    if (atomic !== undefined || ifMatch !== undefined || mode !== undefined)
      this.#session.demand("fsExtended");
    const params = {
      path: this.#paths.uri(path),
      dataBase64: base64Of(data),
      ...this.#key(),
      ...wire(options),
    };
    const { etag } = await this.#write("fs/writeFile", params, options);
    return etag;
  }

  /** Writes behind the end of a file; returns its new length. With `create` makes it if there is none. Flag `fsExtended`. */
  async append(
    path: string,
    data: string | Uint8Array,
    options: FsLinkOptions & { readonly create?: boolean } = {},
  ): Promise<number> {
    this.#session.demand("fsExtended");
    const params = {
      path: this.#paths.uri(path),
      dataBase64: base64Of(data),
      ...this.#key(),
      ...wire(options),
    };
    return (await this.#write("fs/append", params, options)).size;
  }

  /** Reads a part of a file in one round trip: `length` bytes from `offset` on, 1 MiB at most. Flag `fsExtended`. */
  async readRange(
    path: string,
    offset: number,
    length: number,
    options: FsLinkOptions = {},
  ): Promise<Omit<FsReadRangeResponse, "dataBase64"> & { readonly bytes: Uint8Array<ArrayBuffer> }> {
    this.#session.demand("fsExtended");
    // Asked for as they are; where that is not offered, or the connection carries text alone, they come as base64.
    const binary = this.#session.supports("binaryRanges") ? { binary: true } : {};
    const params = { path: this.#paths.uri(path), offset, len: length, ...binary, ...wire(options) };
    const { dataBase64, ...rest } = await this.#read("fs/readRange", params, options);
    return { ...rest, bytes: bytesOf("fs/readRange", dataBase64) };
  }

  /**
   * Writes into a file in one round trip, 1 MiB at most, and leaves the rest of it as it is; returns its new length. Needs no
   * handle and may be repeated, so it survives a lost connection. Flag `fsTransfer`.
   */
  async writeRange(
    path: string,
    offset: number,
    data: string | Uint8Array,
    options: FsRangeOptions = {},
  ): Promise<number> {
    this.#session.demand("fsTransfer");
    const params = { path: this.#paths.uri(path), offset, dataBase64: base64Of(data), ...wire(options) };
    return (await this.#read("fs/writeRange", params, options)).size;
  }

  /** SHA-256 of a file, or of its first `length` bytes, taken where it is. Flag `fsTransfer`. */
  async digest(path: string, options: FsLinkOptions & { readonly length?: number } = {}): Promise<FsDigest> {
    this.#session.demand("fsTransfer");
    const { length, ...rest } = options;
    const params = {
      path: this.#paths.uri(path),
      ...(length !== undefined && { len: length }),
      ...wire(rest),
    };
    return this.#read("fs/digest", params, options);
  }

  /** Opens a file for blocks. A handle lives no longer than its connection. */
  async open(path: string, mode: FsOpenMode = "read", options: FsOptions = {}): Promise<FileHandle> {
    return FileHandle.open(
      this.#session,
      { path: this.#paths.uri(path), mode, ...wire(options) },
      options.signal,
    );
  }

  /** A file as a stream, however large. Nothing is opened before somebody reads. */
  readStream(path: string, options: FsOptions = {}): ReadableStream<Uint8Array<ArrayBuffer>> {
    return FileHandle.readable(() => this.open(path, "read", options), options);
  }

  /** A file to be replaced by what is written to the stream. */
  writeStream(path: string, options: FsOptions = {}): WritableStream<Uint8Array | string> {
    return FileHandle.writable(() => this.open(path, "replace", options), options);
  }

  /** Describes a file. */
  async stat(path: string, options: FsLinkOptions = {}): Promise<FsStat> {
    return this.#read("fs/getMetadata", { path: this.#paths.uri(path), ...wire(options) }, options);
  }

  /** Describes many files in one round trip; `undefined` for each that could not be looked at. Flag `fsExtended`. */
  async statMany(
    paths: readonly string[],
    options: FsLinkOptions = {},
  ): Promise<ReadonlyArray<FsStat | undefined>> {
    this.#session.demand("fsExtended");
    const params = { paths: paths.map((path) => this.#paths.uri(path)), ...wire(options) };
    const { results } = await this.#read("fs/statMany", params, options);
    return results.map((result) => (result.type === "found" ? result.metadata : undefined));
  }

  /** Whether there is something at a path. */
  async exists(path: string, options: FsLinkOptions = {}): Promise<boolean> {
    try {
      await this.stat(path, options);
      return true;
    } catch (error) {
      if (error instanceof ExecError && (error.kind === "notFound" || error.kind === "notADirectory"))
        return false;
      throw error;
    }
  }

  /** The same place without symbolic links. */
  async realPath(path: string, options: FsOptions = {}): Promise<string> {
    const params = { path: this.#paths.uri(path), ...wire(options) };
    return this.#paths.native((await this.#read("fs/canonicalize", params, options)).path);
  }

  /** The text of a symbolic link, which need not lead anywhere. Flag `fsTransfer`. */
  async readLink(path: string, options: FsOptions = {}): Promise<FsLink> {
    this.#session.demand("fsTransfer");
    const params = { path: this.#paths.uri(path), ...wire(options) };
    const { targetBase64 } = await this.#read("fs/readLink", params, options);
    const bytes = bytesOf("fs/readLink", targetBase64);
    return { target: new TextDecoder().decode(bytes), bytes };
  }

  /**
   * Makes a symbolic link whose text is `target`, byte for byte. With `overwrite` it replaces a file or a link in one step,
   * and never a directory. Flag `fsTransfer`.
   */
  async createLink(
    path: string,
    target: string | Uint8Array,
    options: FsOptions & { readonly overwrite?: boolean } = {},
  ): Promise<void> {
    this.#session.demand("fsTransfer");
    const params = { path: this.#paths.uri(path), targetBase64: base64Of(target), ...wire(options) };
    // Where it may replace what is there, once more does no harm.
    const call = options.overwrite === true ? this.#read : this.#write;
    await call.call(this, "fs/createLink", params, options);
  }

  /**
   * Lists a directory of any size, page by page as the loop asks for it, in the order of the bytes of the names. What is there
   * all the while is listed once. A server without the flag `fsTransfer` gives it in one piece and in any order.
   */
  async *listDirectory(path: string, options: FsListOptions = {}): AsyncGenerator<FsDirectoryEntry, void> {
    const { pageEntries = 1000, ...rest } = options;
    if (!this.#session.supports("fsTransfer")) return yield* await this.readDirectory(path, rest);
    const uri = this.#paths.uri(path);
    let after: string | undefined;
    for (;;) {
      const params = {
        path: uri,
        maxEntries: pageEntries,
        ...(after !== undefined && { after }),
        ...wire(rest),
      };
      const { entries, more } = await this.#read("fs/readDirectory", params, options);
      yield* entries;
      const last = entries.at(-1);
      if (more !== true || last === undefined) return;
      // Its name alone counts, wherever it lies.
      after = last.path ?? this.#paths.uri(`/${last.fileName}`);
    }
  }

  /** Lists a directory of 50,000 entries at most, in no particular order. */
  async readDirectory(path: string, options: FsOptions = {}): Promise<readonly FsDirectoryEntry[]> {
    return (await this.#read("fs/readDirectory", { path: this.#paths.uri(path), ...wire(options) }, options))
      .entries;
  }

  /** Lists a tree, breadth first, names in order. */
  async walk(path: string, options: FsTreeOptions = {}): Promise<FsTree> {
    const { signal: _signal, sandbox, ...bounds } = options;
    const params = {
      path: this.#paths.uri(path),
      options: {
        maxDepth: MAX_WALK_DEPTH,
        maxDirectories: MAX_WALK_DIRECTORIES,
        maxEntries: MAX_WALK_ENTRIES,
        followDirectorySymlinks: false,
        ...bounds,
      },
      ...(sandbox !== undefined && { sandbox }),
    };
    const { entries, errors, truncated } = await this.#read("fs/walk", params, options);
    const native = <T extends { readonly path: string }>(found: T): T => ({
      ...found,
      path: this.#paths.native(found.path),
    });
    return { entries: entries.map(native), errors: errors.map(native), truncated };
  }

  /** Makes a directory, with missing parents unless `recursive` is false. */
  async createDirectory(
    path: string,
    options: FsLinkOptions & { readonly recursive?: boolean } = {},
  ): Promise<void> {
    await this.#write("fs/createDirectory", { path: this.#paths.uri(path), ...wire(options) }, options);
  }

  /** Removes a file, or a directory with everything in it unless `recursive` is false. `force` false: it must exist. */
  async remove(
    path: string,
    options: FsLinkOptions & { readonly recursive?: boolean; readonly force?: boolean } = {},
  ): Promise<void> {
    await this.#write("fs/remove", { path: this.#paths.uri(path), ...wire(options) }, options);
  }

  /** Copies a file; with `recursive` also a directory. */
  async copy(
    from: string,
    to: string,
    options: FsOptions & { readonly recursive?: boolean } = {},
  ): Promise<void> {
    const paths = { sourcePath: this.#paths.uri(from), destinationPath: this.#paths.uri(to) };
    await this.#write("fs/copy", { ...paths, recursive: false, ...wire(options) }, options);
  }

  /** Moves within one file system, in one step; with `overwrite` over a file that is there. Flag `fsExtended`. */
  async rename(
    from: string,
    to: string,
    options: FsOptions & { readonly overwrite?: boolean } = {},
  ): Promise<void> {
    this.#session.demand("fsExtended");
    const paths = { sourcePath: this.#paths.uri(from), destinationPath: this.#paths.uri(to) };
    await this.#write("fs/rename", { ...paths, ...wire(options) }, options);
  }

  /**
   * Changes permission bits, 0 to 0o7777. Flag `fsExtended`. With `modifiedAtMs` also the time of the last change, in
   * milliseconds since 1970. Flag `fsTransfer`.
   */
  async setPermissions(
    path: string,
    mode: number,
    options: FsLinkOptions & { readonly modifiedAtMs?: number } = {},
  ): Promise<void> {
    this.#session.demand("fsExtended");
    if (options.modifiedAtMs !== undefined) this.#session.demand("fsTransfer");
    // It names a state to reach, so once more does no harm.
    await this.#read("fs/setPermissions", { path: this.#paths.uri(path), mode, ...wire(options) }, options);
  }

  /**
   * Every change below a path, as it happens. The watch stands when the first `next()` is under way; leaving the loop ends
   * it. A connection that was lost meanwhile, like a queue that was full, is told as `resync`. Flag `fsWatch`.
   */
  watch(path: string, options: FsWatchOptions = {}): AsyncGenerator<FsChangeEvent, void> {
    return watchChanges(this.#session, this.#paths, path, options);
  }

  /**
   * Resolves as soon as one of these paths, or the first missing parent of one, comes into existence; at once if one exists, or
   * where the server can't watch for it, as behind a link. So look, and wait again. One wait at a time. Flag `fsWatchMissing`.
   */
  async waitFor(paths: readonly string[], { signal }: FsOptions = {}): Promise<void> {
    await watchMissing(
      this.#session,
      paths.map((path) => this.#paths.uri(path)),
      signal,
    );
  }

  /** Finds paths by globs, as they are found. Flag `fsSearch`. */
  glob(
    path: string,
    patterns: string | readonly string[],
    options: FsGlobOptions = {},
  ): AsyncGenerator<FsEntry, void> {
    const list = typeof patterns === "string" ? [patterns] : patterns;
    return globAll(this.#session, this.#paths, path, list, options);
  }

  /** Finds lines that match, as they are found. Flag `fsSearch`. */
  search(path: string, pattern: string, options: FsContentOptions = {}): AsyncGenerator<FsMatch, void> {
    return searchAll(this.#session, this.#paths, path, pattern, options);
  }

  /** By this a server knows a repeat, where it can. */
  #key(): { readonly requestKey?: string } {
    return this.#session.supports("idempotentRequests") && this.#session.supports("fsExtended")
      ? { requestKey: crypto.randomUUID() }
      : {};
  }

  #read<M extends ClientRequestMethod>(
    method: M,
    params: ClientRequests[M]["params"],
    { signal }: FsOptions,
  ) {
    return this.#session.call(method, params, { repeat: "always", signal });
  }

  /** Sent again only where the server would know it, or it can't have arrived. */
  #write<M extends ClientRequestMethod>(
    method: M,
    params: ClientRequests[M]["params"],
    { signal }: FsOptions,
  ) {
    const hasKey = typeof params === "object" && params !== null && "requestKey" in params;
    return this.#session.call(method, params, { repeat: hasKey ? "always" : "ifUnsent", signal });
  }
}
