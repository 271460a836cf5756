// What `client.fs` takes and gives: the protocol's shapes with native paths.

import type {
  FsChangeKind,
  FsDigestResponse,
  FsEntryKind,
  FsGetMetadataResponse,
  FsSearchMatch,
  FsSearchScope,
  FsWalkOptions,
  SandboxContext,
} from "./generated/types.js";
import type { CallSignal } from "./process.js";

/** What every file operation takes last. */
export interface FsOptions extends CallSignal {
  /** Confines this call. */
  readonly sandbox?: SandboxContext;
}

/** For operations that may be told to refuse symbolic links in the path. */
export interface FsLinkOptions extends FsOptions {
  /** Whether symbolic links may stand in the path. Default true. */
  readonly followSymlinks?: boolean;
}

/** How to write a whole file. */
export interface FsWriteOptions extends FsLinkOptions {
  /** Write beside the file and move it into place. Flag `fsExtended`. */
  readonly atomic?: boolean;
  /** Write only over this etag, or with `""` only where there is no file. Flag `fsExtended`. */
  readonly ifMatch?: string;
  /** Permission bits of the written file. Flag `fsExtended`. */
  readonly mode?: number;
}

/** How to write a part of a file. */
export interface FsRangeOptions extends FsLinkOptions {
  /** Make the file if there is none. */
  readonly create?: boolean;
  /** Permission bits of a file that is made by this. */
  readonly mode?: number;
  /** Resolve when all of the file is on its disk, and not only in memory. */
  readonly sync?: boolean;
}

/** How to list a directory in pages. */
export interface FsListOptions extends FsOptions {
  /** Entries of a page, 1 to 50,000. Default 1,000. */
  readonly pageEntries?: number;
}

/** Checksum of a file's content. */
export type FsDigest = FsDigestResponse;

/** The text of a symbolic link. */
export interface FsLink {
  /** As text; what is no UTF-8 is replaced. */
  readonly target: string;
  /** Byte for byte. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What a file is. See the protocol's type for each member. */
export type FsStat = FsGetMetadataResponse;

/** One file or directory below another. */
export interface FsEntry {
  /** Native path. */
  readonly path: string;
  readonly kind: FsEntryKind;
}

/** A whole tree. */
export interface FsTree {
  readonly entries: readonly FsEntry[];
  /** What could not be read. */
  readonly errors: ReadonlyArray<{ readonly path: string; readonly message: string }>;
  /** Whether a bound cut the answer short. */
  readonly truncated: boolean;
}

/** How far to walk; the protocol's maxima where nothing is said. */
export type FsTreeOptions = FsOptions & Partial<FsWalkOptions>;

/** A change below a watched path, or word that some were lost: then look at everything again. */
export type FsChangeEvent =
  | { readonly type: "changed"; readonly path: string; readonly kind: FsChangeKind }
  | { readonly type: "resync" };

/** How to watch. */
export interface FsWatchOptions extends FsOptions {
  /** Watch everything below the directory, and not only its direct children. */
  readonly recursive?: boolean;
  /** Globs, relative to the path, of what is not of interest. */
  readonly exclude?: readonly string[];
}

/** How to look for paths. */
export interface FsGlobOptions extends FsOptions, FsSearchScope {
  /** Stop after this many. */
  readonly maxMatches?: number;
}

/** How to look for contents. */
export interface FsContentOptions extends FsGlobOptions {
  /** Take the pattern as plain text instead of a regular expression. */
  readonly literal?: boolean;
  readonly ignoreCase?: boolean;
  /** Globs; if there are any, only files that match one are read. */
  readonly include?: readonly string[];
  /** Lines to show before and after each match. */
  readonly contextLines?: number;
}

/** One matching line, with a native path. */
export type FsMatch = FsSearchMatch;
