// Generated from codex-rs/exec-server-protocol; run `just gen`.
//
// The types on the wire. 64-bit counters are `number`: a peer keeps them within 2^53 - 1, up to
// which a `number` is exact. An optional member is left out when there is nothing to say; `null` is
// sent only where a type says so.

/** Parameters that are ignored, whatever they are. */
export type AnyParams = unknown;

/**
 * Bytes that are written as standard base64 (RFC 4648 section 4, padded) in one JSON string.
 *
 * Decoding accepts exactly one spelling of each byte string: no line breaks, no missing or surplus padding, no
 * stray bits in the last symbol.
 */
export type Base64Bytes = string;

/** Parameters of `$/cancel`: the request is answered with -32800, or as if it had finished already. Flag `cancel`. */
export type CancelNotification = {
  /** Id of a request of the same connection. */
  readonly id: RequestId;
};

/** Parameters of `capabilities/discoverV2`. */
export type CapabilitiesDiscoverParams = {
  /** Where the client works. What is installed on a machine does not depend on it. */
  readonly cwd: PathUri;
  /** Confines the look around. */
  readonly sandbox?: SandboxContext;
};

/** Result of `capabilities/discoverV2`. */
export type CapabilitiesDiscoverResponse = {
  /** Plugins that are installed, by their ids. */
  readonly plugins: ReadonlyArray<FoundPlugin>;
  /** Skills that belong to no plugin. */
  readonly skills: ReadonlyArray<FoundSkill>;
  /** What could not be looked at, or does not say what it is. */
  readonly warnings: ReadonlyArray<string>;
};

/** A directory that may hold a plugin or skills. */
export type CapabilityRoot = {
  /** Chosen by the client; comes back in the answer. */
  readonly id: string;
  /** The directory. */
  readonly path: PathUri;
  /** Confines the look into this root. */
  readonly sandbox?: SandboxContext;
};

/** Parameters of `capabilityRoots/discoverV1`. */
export type CapabilityRootsDiscoverParams = {
  /** The directories to look into. */
  readonly roots: ReadonlyArray<CapabilityRoot>;
};

/** Result of `capabilityRoots/discoverV1`. */
export type CapabilityRootsDiscoverResponse = {
  /** One for each root, in the order of the request. */
  readonly roots: ReadonlyArray<DiscoveredRoot>;
};

/** What a client announces for one connection. What it leaves out it does not take. */
export type ClientCapabilities = {
  /**
   * Output, HTTP bodies and file blocks may come as [binary messages](crate::binary), wherever the connection can carry
   * them. They may come as JSON all the same. Flag `binaryOutput`.
   */
  readonly binaryOutput?: boolean;
  /**
   * The client acknowledges what its readers have of each process, with `process/ack`, and takes so much before that: bytes
   * of output, and 256 more for each event. What is not acknowledged is kept like what was not sent. The server grants
   * `limits.outputWindowBytes` at most, and sends at least one event when everything was acknowledged. The client
   * acknowledges at the latest after a quarter of what it was granted. Flag `outputWindow`.
   */
  readonly outputWindowBytes?: number;
  /**
   * Several pieces of output may come in one [binary message](crate::binary::Pack), for which they are gathered so long at
   * most, and 100 ms; 0 waits for none. What a process says after a pause comes at once, and so does everything but output.
   * Only with `binaryOutput`. Flag `outputPacking`.
   */
  readonly outputPackingMs?: number;
};

/** One layer, reduced to the keys of interest. */
export type ConfigLayer = {
  /** Where it comes from, for people. */
  readonly source: string;
  /** What relative paths in it refer to. */
  readonly baseDir: PathUri | null;
  /** A TOML document. */
  readonly toml: string;
};

/** Layers of one configuration, in the server's order of precedence. */
export type ConfigLayers = {
  /** The layers that hold one of the keys. */
  readonly layers: ReadonlyArray<ConfigLayer>;
  /** Position in `layers` at which the client puts a layer of its own. */
  readonly cloudInsertionIndex: number;
};

/** A file and what is in it. */
export type DiscoveredFile = {
  /** Where it is. */
  readonly path: PathUri;
  /** The whole file, which is text. */
  readonly contents: string;
};

/** A plugin's own files. */
export type DiscoveredPlugin = {
  /** Its manifest. */
  readonly manifest: DiscoveredFile;
  /** Its list of MCP servers. */
  readonly mcpConfig: DiscoveredFile | null;
  /** Its list of apps. */
  readonly appsConfig: DiscoveredFile | null;
};

/** What one root holds. */
export type DiscoveredRoot = {
  /** As in the request. */
  readonly id: string;
  /** As in the request. */
  readonly path: PathUri;
  /** The plugin, if the root is one. */
  readonly plugin: DiscoveredPlugin | null;
  /** Skills anywhere below. */
  readonly skills: ReadonlyArray<DiscoveredSkill>;
  /** Plugin manifests, in the root or above it, that give the skills their namespace. */
  readonly namespaceManifests: ReadonlyArray<DiscoveredFile>;
  /** What could not be looked at. */
  readonly warnings: ReadonlyArray<string>;
  /** Why the root as a whole could not be looked at. */
  readonly error: string | null;
};

/** A skill's own files. */
export type DiscoveredSkill = {
  /** Its `SKILL.md`. */
  readonly instructions: DiscoveredFile;
  /** What describes it to user interfaces. */
  readonly metadata: DiscoveredFile | null;
};

/** Output that is gone: always the oldest. */
export type DroppedOutput = {
  /** The last position whose output was dropped. */
  readonly throughSeq: Seq;
  /** Bytes dropped in all. */
  readonly bytes: number;
};

/** A result without members. */
export type EmptyResponse = Record<symbol, never>;

/** What an `EnvPolicy` begins with. */
export type EnvInherit = "all" | "core" | "none";

/**
 * How the child's environment is made from the server's own. All members are required.
 *
 * Order: inherit; default excludes; `exclude`; `set`; `includeOnly`; and last the request's `env`, which wins.
 * Patterns are globs (`*`, `?`) on names, without regard to case.
 */
export type EnvPolicy = {
  /** What to begin with. */
  readonly inherit: EnvInherit;
  /** Keep names that look like credentials (`*KEY*`, `*SECRET*`, `*TOKEN*`). */
  readonly ignoreDefaultExcludes: boolean;
  /** Names to drop. */
  readonly exclude: ReadonlyArray<string>;
  /** Variables to set. */
  readonly set: { readonly [key in string]: string };
  /** When not empty: the only names to keep, `set` included. */
  readonly includeOnly: ReadonlyArray<string>;
};

/** Flags of what a server can do. A peer that does not know a flag leaves it out, which means no. */
export type EnvironmentCapabilities = {
  /** `process/start.networkProxy` is honoured. */
  readonly networkProxyLaunch?: boolean;
  /** The proxy asks the client about undecided hosts. */
  readonly networkProxyReviewDomains?: boolean;
  /** Credentials are masked in a proxied process's traffic. */
  readonly credentialMasking?: boolean;
  /** Masking takes providers that the client names. */
  readonly credentialMaskingCustomProviders?: boolean;
  /** Capability discovery honours a sandbox. */
  readonly capabilityDiscoverySandbox?: boolean;
  /** `fs/watchMissing`. */
  readonly fsWatchMissing?: boolean;
  /** `capabilities/discoverV2`. */
  readonly capabilityDiscoveryV2?: boolean;
  /** `environmentConfig/read`. */
  readonly environmentConfigRead?: boolean;
  /** `http/request.headers[].valueEnvVar`. */
  readonly httpHeaderEnvVars?: boolean;
  /** `fs/open` and blocks honour a sandbox. */
  readonly sandboxedFileStreaming?: boolean;
  /** `fs/open` in mode `replace`, `fs/writeBlock`. */
  readonly fileWriteStreaming?: boolean;
  /** `process/start.shellSnapshot`. */
  readonly shellSnapshotV2?: boolean;
  /** Windows' MXC sandbox. */
  readonly windowsMxc?: boolean;
  /** A sandbox that may write the root keeps device files usable. */
  readonly linuxRootWritePreservesDevices?: boolean;
  /** An approved write to the root keeps the other restrictions. */
  readonly linuxApprovedRootWritePreservesRestrictions?: boolean;
  /** `initialize.takeover`. */
  readonly sessionTakeover?: boolean;
  /** `initialize.detachedLifetimeMs`. */
  readonly sessionLifetime?: boolean;
  /** `initialize` result `limits`. */
  readonly serverLimits?: boolean;
  /** Output and bodies as binary messages. */
  readonly binaryOutput?: boolean;
  /** `fs/readRange.binary`. */
  readonly binaryRanges?: boolean;
  /** `dropped`, `outputBytes`, `offset` and `crc32c`. */
  readonly gapAccounting?: boolean;
  /** `initialize.capabilities.outputWindowBytes` and `process/ack`. */
  readonly outputWindow?: boolean;
  /** `initialize.capabilities.outputPackingMs`. */
  readonly outputPacking?: boolean;
  /** `process/start.output`. */
  readonly outputBudget?: boolean;
  /** `process/closeStdin`. */
  readonly processStdinClose?: boolean;
  /** `process/start.size` and `process/resize`. */
  readonly processResize?: boolean;
  /** `process/signal` beyond `interrupt`. */
  readonly processSignals?: boolean;
  /** `process/terminate.graceMs` and `survivors`. */
  readonly processTerminateGrace?: boolean;
  /** `process/list`. */
  readonly processList?: boolean;
  /** `process/start.timeoutMs`; `reason` and `signal` of an exit. */
  readonly processTimeout?: boolean;
  /** `process/exited.usage`. */
  readonly processUsage?: boolean;
  /** `process/start.limits`. */
  readonly processLimits?: boolean;
  /** `requestKey`. */
  readonly idempotentRequests?: boolean;
  /** `initialize.observeSessionId`: connections that watch a session without holding it. */
  readonly observers?: boolean;
  /** More of `fs/*`. */
  readonly fsExtended?: boolean;
  /**
   * What copying between machines needs: `fs/writeRange`, `fs/digest`, `fs/readLink`, `fs/createLink`, pages of
   * `fs/readDirectory`.
   */
  readonly fsTransfer?: boolean;
  /** `fs/watch`. */
  readonly fsWatch?: boolean;
  /** `fs/glob` and `fs/search`. */
  readonly fsSearch?: boolean;
  /** `$/cancel`. */
  readonly cancel?: boolean;
  /** `process/exited.denials`. */
  readonly sandboxDenials?: boolean;
  /** `net/*`. */
  readonly portForward?: boolean;
  /** `http/request.creditBytes` and `http/request/bodyCredit`. */
  readonly httpBodyCredit?: boolean;
  /** `data.cause` of a failed `http/request`, and `cause` of a body that broke off. */
  readonly httpFailureCause?: boolean;
};

/** Parameters of `environmentConfig/read`. There must be one key path at least, and none may be empty: -32602. */
export type EnvironmentConfigReadParams = {
  /** Where the client works; layers of the project are looked for from here. */
  readonly cwd: PathUri;
  /** TOML keys of interest in the configuration, each as its list of segments. */
  readonly configPaths: ReadonlyArray<ReadonlyArray<string>>;
  /** TOML keys of interest in the requirements. */
  readonly requirementsPaths: ReadonlyArray<ReadonlyArray<string>>;
};

/** Result of `environmentConfig/read`. */
export type EnvironmentConfigReadResponse = {
  /** Home of the server's user. */
  readonly userHomeDir: PathUri;
  /** Where the user's configuration lies. */
  readonly codexHomeDir: PathUri;
  /** Name of the machine. */
  readonly hostname: string;
  /** The configuration. */
  readonly config: ConfigLayers;
  /** What an administrator demands of it. */
  readonly requirements: ConfigLayers;
};

/** Describes the server's machine. Only `shell` is guaranteed by old peers. */
export type EnvironmentInfo = {
  /** The login shell of the server's user. */
  readonly shell: ShellInfo;
  /** Version of the server. */
  readonly executorVersion?: string;
  /** Opaque name of this installation, `sha256:` and 64 hex digits; the same again after a restart. */
  readonly providerId?: string;
  /** Working directory of the server. */
  readonly cwd?: PathUri;
  /** Home folder of the server's user. */
  readonly userHomeDir?: PathUri;
  /** `linux`, `macos` or `windows`. */
  readonly platformOs?: string;
  /** Folders that the server puts before `PATH` for its children. */
  readonly prependPathDirs?: ReadonlyArray<PathUri>;
  /** Temporary folders beyond `tempDir`. */
  readonly temporaryDirectories?: ReadonlyArray<PathUri>;
  /** Where temporary files go. */
  readonly tempDir?: PathUri;
  /** What this server can do; an absent flag means no. */
  readonly capabilities?: EnvironmentCapabilities;
  /** Which sandboxes this server can enforce. Absent while that is not known, and from peers that do not tell. */
  readonly sandbox?: SandboxSupport;
  /** How `process/start.limits` are kept. Absent while that is not known, and from peers that do not tell. */
  readonly processLimits?: ProcessLimitsSupport;
};

/** How the environment is. A server that answers is ready. */
export type EnvironmentStatus = "ready";

/** Result of `environment/status`. */
export type EnvironmentStatusResponse = {
  /** How the environment is. */
  readonly status: EnvironmentStatus;
};

/** Why a process ended. */
export type ExitReason = "exited" | "signalled" | "timedOut" | "terminated";

/** Names an open file on its connection. Chosen by the client; at most `MAX_FILE_HANDLE_ID_BYTES`, and may be empty. */
export type FileHandleId = string;

/** A plugin in the version that counts. */
export type FoundPlugin = {
  /** Its name and where it was got: `NAME@MARKET`. */
  readonly id: string;
  /** For people. */
  readonly displayName: string;
  /** Peers were only ever seen to send none. */
  readonly remotePluginId: string | null;
  /** The name of its directory. */
  readonly version: string;
  /** Where it lies. */
  readonly root: PathUri;
  /** Its own files. */
  readonly files: DiscoveredPlugin;
  /** Its skills. */
  readonly skills: ReadonlyArray<FoundSkill>;
};

/** A skill as it describes itself. */
export type FoundSkill = {
  /** What it is called; `PLUGIN:NAME` in a plugin. */
  readonly name: string;
  /** What it is for. */
  readonly description: string;
  /** The same in short. */
  readonly shortDescription: string | null;
  /** Its instructions. */
  readonly path: PathUri;
  /** Where it was found; absent in a plugin. */
  readonly discoveryRoot?: SkillRoot;
  /** What it needs. */
  readonly dependencies: SkillDependencies | null;
  /** When it may be used. */
  readonly policy: SkillPolicy | null;
};

/** Parameters of `fs/append`: write behind the end of a file, in one piece as far as the system can. Flag `fsExtended`. */
export type FsAppendParams = {
  /** The file. */
  readonly path: PathUri;
  /** What to add. */
  readonly dataBase64: Base64Bytes;
  /** Make the file if there is none; otherwise that is -32004. */
  readonly create?: boolean;
  /** Whether symbolic links may stand in the path; yes if absent. */
  readonly followSymlinks?: boolean;
  /** Confines this call. */
  readonly sandbox?: SandboxContext;
  /** A repeat of this call with the same key joins it or gets its answer. Flag `idempotentRequests`. */
  readonly requestKey?: RequestKey;
};

/** Result of `fs/append`. */
export type FsAppendResponse = {
  /** Length of the file in bytes, right after the write. */
  readonly size: number;
};

/** Parameters of `fs/canonicalize`. */
export type FsCanonicalizeParams = {
  /** An existing path. */
  readonly path: PathUri;
  /** Confines this call. */
  readonly sandbox?: SandboxContext;
};

/** Result of `fs/canonicalize`. */
export type FsCanonicalizeResponse = {
  /** The same place without symbolic links. */
  readonly path: PathUri;
};

/** One change below a watched path. */
export type FsChange = {
  /** Where. */
  readonly path: PathUri;
  /** What happened. */
  readonly kind: FsChangeKind;
};

/** What happened to a path. A move is a removal here and a creation there, as far as either place is watched. */
export type FsChangeKind = "created" | "modified" | "removed";

/** Parameters of the notification `fs/changed`. Flag `fsWatch`. */
export type FsChangedNotification = {
  /** The watch. */
  readonly watchId: WatchId;
  /** What changed, oldest first; changes of one path in quick succession may be reported as one. */
  readonly changes: ReadonlyArray<FsChange>;
  /** Changes were lost before these (the system's queue, or ours, was full): look at everything again. */
  readonly resync?: boolean;
  /**
   * The watched path itself is gone, and the watch with it; or, with `resync`, it could not go on, and whoever sets it again is
   * told why. This is its last notification.
   */
  readonly ended?: boolean;
};

/** Parameters of `fs/close`. An unknown handle is fine. */
export type FsCloseParams = {
  /** The file to close. */
  readonly handleId: FileHandleId;
};

/**
 * Parameters of `fs/copy`. Regular files, directories and symbolic links (as links) only; existing files are
 * overwritten, existing directories merged into.
 */
export type FsCopyParams = {
  /** What to copy. */
  readonly sourcePath: PathUri;
  /** What it becomes; not the directory that it goes into. */
  readonly destinationPath: PathUri;
  /** Required, and must be true, to copy a directory. */
  readonly recursive: boolean;
  /** Confines this call. */
  readonly sandbox?: SandboxContext;
};

/** Parameters of `fs/createDirectory`. */
export type FsCreateDirectoryParams = {
  /** The directory. */
  readonly path: PathUri;
  /** Make missing parents too, and be content with a directory that exists; yes if absent. */
  readonly recursive?: boolean;
  /** Whether symbolic links may stand in the path; yes if absent. */
  readonly followSymlinks?: boolean;
  /** Confines this call. */
  readonly sandbox?: SandboxContext;
};

/** Parameters of `fs/createLink`: make a symbolic link. */
export type FsCreateLinkParams = {
  /** The link. */
  readonly path: PathUri;
  /** Its text: 1 to `MAX_LINK_TARGET_BYTES` bytes without a NUL, otherwise -32600. It need not lead anywhere. */
  readonly targetBase64: Base64Bytes;
  /**
   * Replace a file or a link that is there already, in one step; otherwise that is -32603 (`EEXIST`). A directory never
   * is.
   */
  readonly overwrite?: boolean;
  /** Confines this call. */
  readonly sandbox?: SandboxContext;
};

/** Parameters of `fs/digest`: a checksum of a regular file, or of its beginning, without moving it. */
export type FsDigestParams = {
  /** The file. */
  readonly path: PathUri;
  /** Only so many bytes from the beginning; absent is all of it. */
  readonly len?: number;
  /** Whether symbolic links may stand in the path; yes if absent. */
  readonly followSymlinks?: boolean;
  /** Confines this call. */
  readonly sandbox?: SandboxContext;
};

/** Result of `fs/digest`. */
export type FsDigestResponse = {
  /** SHA-256, as 64 lower-case hexadecimal digits. */
  readonly sha256: string;
  /** How many bytes it covers; fewer than asked for only at the end. */
  readonly len: number;
  /** Etag of the file as it was after the last byte was read. */
  readonly etag: string;
};

/** One entry of a directory. Both flags follow symbolic links; neither is set for anything but files and directories. */
export type FsDirectoryEntry = {
  /** The bare name; what is not UTF-8 in it is replaced. */
  readonly fileName: string;
  /** Whether it is, or leads to, a directory. */
  readonly isDirectory: boolean;
  /** Whether it is, or leads to, a regular file. */
  readonly isFile: boolean;
  /** Whether the entry itself is a symbolic link; with both other flags unset, it may lead nowhere. Flag `fsExtended`. */
  readonly isSymlink?: boolean;
  /** Where it is; only for a name that is not UTF-8, which `fileName` can't tell. Flag `fsExtended`. */
  readonly path?: PathUri;
};

/** What an entry is. */
export type FsEntryKind = "file" | "directory";

/** What a failed file operation says to programs. Flag `fsExtended`. */
export type FsErrorData = {
  /** The system's name of the error, for example `ENOENT`; absent if the server itself refused. */
  readonly errno?: string;
  /** The path that the operation failed at; of two paths, the one at fault. */
  readonly path: PathUri;
  /**
   * With an `ifMatch` that does not hold, and only then: the etag that the file has instead, or the empty string if
   * there is no file.
   */
  readonly etag?: string;
};

/** Parameters of `fs/getMetadata`. */
export type FsGetMetadataParams = {
  /** What to describe. */
  readonly path: PathUri;
  /** Whether symbolic links may stand in the path; yes if absent. */
  readonly followSymlinks?: boolean;
  /** Confines this call. */
  readonly sandbox?: SandboxContext;
};

/** Result of `fs/getMetadata`. Everything but `isSymlink` describes what a symbolic link leads to. */
export type FsGetMetadataResponse = {
  /** Whether it is a directory. */
  readonly isDirectory: boolean;
  /** Whether it is a regular file. */
  readonly isFile: boolean;
  /** Whether the path itself is a symbolic link. */
  readonly isSymlink: boolean;
  /** Length in bytes. */
  readonly size: number;
  /** Time of creation, in milliseconds since 1970; 0 if the system does not know. */
  readonly createdAtMs: number;
  /** Time of the last change of content, in milliseconds since 1970; 0 if the system does not know. */
  readonly modifiedAtMs: number;
  /** Permission bits, 0 to 0o7777. Flag `fsExtended`. */
  readonly mode?: number;
  /** Number of the owner. Flag `fsExtended`. */
  readonly uid?: number;
  /** Number of the group. Flag `fsExtended`. */
  readonly gid?: number;
  /**
   * Device and inode as `device:inode` in decimal. A text, because it is only ever compared and its numbers may not
   * fit into a double. Flag `fsExtended`.
   */
  readonly inode?: string;
  /** Changes whenever the content may have changed; means nothing else. Flag `fsExtended`. */
  readonly etag?: string;
};

/** Parameters of the notification `fs/glob/matches`. */
export type FsGlobMatchesNotification = {
  /** The search. */
  readonly searchId: SearchId;
  /** Number of this batch, from 1. */
  readonly batch: number;
  /** What was found, in no particular order. */
  readonly matches: ReadonlyArray<FsWalkEntry>;
};

/** Parameters of `fs/glob`. */
export type FsGlobParams = {
  /** A name that no running search of this connection has, otherwise -32600. */
  readonly searchId: SearchId;
  /** The directory to look in. */
  readonly path: PathUri;
  /** Globs; a path is found if one of them matches. A malformed one, or none at all, is -32602. */
  readonly patterns: ReadonlyArray<string>;
  /** What to look at. */
  readonly scope?: FsSearchScope;
  /** Stop after this many matches: 1 to `MAX_SEARCH_MATCHES`, which is also what absence means. */
  readonly maxMatches?: number;
  /** How many batches may be sent before the client grants more with `fs/searchCredit`. Absent means any number. */
  readonly creditBatches?: number;
  /** Confines this call. */
  readonly sandbox?: SandboxContext;
};

/** Result of `fs/glob`. */
export type FsGlobResponse = {
  /** How many batches were sent; some may still arrive after this answer. */
  readonly batches: number;
  /** How many matches they hold in all. */
  readonly matches: number;
  /**
   * Whether the search stopped at `maxMatches`, so that there may be more; or could not keep all directories in mind
   * that it had still to enter.
   */
  readonly truncated: boolean;
  /** How many files and directories could not be looked at. */
  readonly unreadable: number;
};

/** Parameters of the notification `fs/missingChanged`, which is sent once per watch. */
export type FsMissingChangedNotification = {
  /** The watch, which is over now. */
  readonly watchId: WatchId;
};

/** What an open file is for. */
export type FsOpenMode = "read" | "replace";

/** Parameters of `fs/open`. */
export type FsOpenParams = {
  /** A name that no open file of this connection has. */
  readonly handleId: FileHandleId;
  /** The file. */
  readonly path: PathUri;
  /** What it is opened for; reading if absent. */
  readonly mode?: FsOpenMode;
  /** Confines this call; the handle then works without it. */
  readonly sandbox?: SandboxContext;
};

/** Result of `fs/open`. */
export type FsOpenResponse = {
  /** As in the request. */
  readonly handleId: FileHandleId;
};

/** Parameters of `fs/readBlock`. An unknown handle is -32004. */
export type FsReadBlockParams = {
  /** A file opened for reading. */
  readonly handleId: FileHandleId;
  /** First byte, counted from 0; beyond the end the answer is empty. */
  readonly offset: number;
  /** How many bytes at most: 1 to `MAX_BLOCK_BYTES`, otherwise -32600. */
  readonly len: number;
};

/** Result of `fs/readBlock`. */
export type FsReadBlockResponse = {
  /** The bytes; fewer than asked for only at the end. */
  readonly chunk: Base64Bytes;
  /** Whether the block ended at, or was asked for beyond, the end of the file. */
  readonly eof: boolean;
};

/** Parameters of `fs/readDirectory`. */
export type FsReadDirectoryParams = {
  /** The directory. */
  readonly path: PathUri;
  /**
   * List in pages: no more than so many entries, 1 to `MAX_LISTED_ENTRIES`, otherwise -32600, in the order of the bytes
   * of their names. What is there all the while is in one of the pages. Without it a directory of more entries than one
   * answer holds is -32600. Flag `fsTransfer`.
   */
  readonly maxEntries?: number;
  /**
   * With `maxEntries`: only names behind the last component of this path, which is that of the last entry of the page
   * before. It need not exist any more. Flag `fsTransfer`.
   */
  readonly after?: PathUri;
  /** Confines this call. */
  readonly sandbox?: SandboxContext;
};

/** Result of `fs/readDirectory`. */
export type FsReadDirectoryResponse = {
  /** What the directory holds; without `maxEntries` in no particular order. */
  readonly entries: ReadonlyArray<FsDirectoryEntry>;
  /** With `maxEntries`: others come behind these. Flag `fsTransfer`. */
  readonly more?: boolean;
};

/**
 * Parameters of `fs/readFile`.
 *
 * Regular files only. A longer file than `MAX_READ_FILE_BYTES` is refused with -32600; read it in parts.
 */
export type FsReadFileParams = {
  /** The file. */
  readonly path: PathUri;
  /** Whether symbolic links may stand in the path; yes if absent. */
  readonly followSymlinks?: boolean;
  /** Confines this call. */
  readonly sandbox?: SandboxContext;
};

/** Result of `fs/readFile`. */
export type FsReadFileResponse = {
  /** The whole file. */
  readonly dataBase64: Base64Bytes;
};

/** Parameters of `fs/readLink`. Anything but a symbolic link is -32600. */
export type FsReadLinkParams = {
  /** The link. */
  readonly path: PathUri;
  /** Confines this call. */
  readonly sandbox?: SandboxContext;
};

/** Result of `fs/readLink`. */
export type FsReadLinkResponse = {
  /** The text of the link, byte for byte: a path, which may be relative and lead nowhere. */
  readonly targetBase64: Base64Bytes;
};

/** Parameters of `fs/readRange`: a part of a regular file in one round trip. Flag `fsExtended`. */
export type FsReadRangeParams = {
  /** The file. */
  readonly path: PathUri;
  /** First byte, counted from 0; beyond the end the answer is empty. */
  readonly offset: number;
  /** How many bytes at most: 1 to `MAX_BLOCK_BYTES`. */
  readonly len: number;
  /** Whether symbolic links may stand in the path; yes if absent. */
  readonly followSymlinks?: boolean;
  /** Confines this call. */
  readonly sandbox?: SandboxContext;
  /**
   * Whether the client takes the answer as a binary message. It may come as JSON all the same, and does on a connection
   * without `binaryOutput`. Flag `binaryRanges`.
   */
  readonly binary?: boolean;
};

/** Result of `fs/readRange`. */
export type FsReadRangeResponse = {
  /** The bytes; fewer than asked for only at the end. */
  readonly dataBase64: Base64Bytes;
  /** Whether these bytes reach the end of the file. */
  readonly eof: boolean;
  /** Length of the whole file in bytes, as it was for this read. */
  readonly size: number;
  /** Etag of the file as it was for this read: parts with different etags belong to different contents. */
  readonly etag: string;
};

/** Parameters of `fs/remove`. A symbolic link is removed itself, never what it leads to. */
export type FsRemoveParams = {
  /** What to remove. */
  readonly path: PathUri;
  /** Remove a directory with everything in it; yes if absent. */
  readonly recursive?: boolean;
  /** Be content if there is nothing to remove; yes if absent. Otherwise that is -32004. */
  readonly force?: boolean;
  /** Whether symbolic links may stand in the path; yes if absent. No is refused together with `recursive`. */
  readonly followSymlinks?: boolean;
  /** Confines this call. */
  readonly sandbox?: SandboxContext;
};

/**
 * Parameters of `fs/rename`: move within one file system, in one step. Flag `fsExtended`.
 *
 * Between file systems it fails (-32603, `EXDEV`): copy and remove instead. Symbolic links are moved themselves.
 */
export type FsRenameParams = {
  /** What to move. */
  readonly sourcePath: PathUri;
  /** What it becomes; not the directory that it goes into. */
  readonly destinationPath: PathUri;
  /** Replace a file, or an empty directory, that is there already; otherwise that is -32603 (`EEXIST`). */
  readonly overwrite?: boolean;
  /** Confines this call. */
  readonly sandbox?: SandboxContext;
};

/**
 * Parameters of the notification `fs/searchCredit`: the server may send more batches of a search that was asked for with
 * `creditBatches`. For one that is over, or unknown, it means nothing.
 */
export type FsSearchCreditNotification = {
  /** The search, of either kind. */
  readonly searchId: SearchId;
  /** How many batches more. */
  readonly batches: number;
};

/** One matching line. Texts are without line ends; what is not UTF-8 in them is replaced. */
export type FsSearchMatch = {
  /** The file. */
  readonly path: PathUri;
  /** Number of the line, from 1. */
  readonly line: number;
  /** The line, or `MAX_SEARCH_LINE_BYTES` of it. */
  readonly text: string;
  /** Where `pattern` matches, as positions in `text`; the first `MAX_SEARCH_RANGES`. */
  readonly ranges: ReadonlyArray<FsTextRange>;
  /** Lines before it, oldest first; as many as were asked for and exist. */
  readonly before?: ReadonlyArray<string>;
  /** Lines after it. */
  readonly after?: ReadonlyArray<string>;
};

/** Parameters of the notification `fs/search/matches`. */
export type FsSearchMatchesNotification = {
  /** The search. */
  readonly searchId: SearchId;
  /** Number of this batch, from 1. */
  readonly batch: number;
  /** What was found: lines of one file in order and together, files in no particular order. */
  readonly matches: ReadonlyArray<FsSearchMatch>;
};

/**
 * Parameters of `fs/search`. A file is read as text, in UTF-8, or in UTF-16 if it begins by saying so, up to the first
 * NUL, since what follows that is no text.
 */
export type FsSearchParams = {
  /** A name that no running search of this connection has, otherwise -32600. */
  readonly searchId: SearchId;
  /** The directory to look in, or a single file. */
  readonly path: PathUri;
  /** What to find within a line: a regular expression, or plain text with `literal`. A malformed one is -32602. */
  readonly pattern: string;
  /** Take `pattern` as plain text. */
  readonly literal?: boolean;
  /** Treat upper and lower case as the same. */
  readonly ignoreCase?: boolean;
  /** Globs; if there are any, only files that match one are read. */
  readonly include?: ReadonlyArray<string>;
  /** What to look at. */
  readonly scope?: FsSearchScope;
  /** Lines to show before and after each match, at most `MAX_CONTEXT_LINES`. */
  readonly contextLines?: number;
  /** Stop after this many matching lines: 1 to `MAX_SEARCH_MATCHES`, which is also what absence means. */
  readonly maxMatches?: number;
  /** How many batches may be sent before the client grants more with `fs/searchCredit`. Absent means any number. */
  readonly creditBatches?: number;
  /** Confines this call. */
  readonly sandbox?: SandboxContext;
};

/** Result of `fs/search`. */
export type FsSearchResponse = {
  /** How many batches were sent; some may still arrive after this answer. */
  readonly batches: number;
  /** How many matches they hold in all. */
  readonly matches: number;
  /**
   * Whether the search stopped at `maxMatches`, so that there may be more; or could not keep all directories in mind
   * that it had still to enter.
   */
  readonly truncated: boolean;
  /** How many files and directories could not be looked at. */
  readonly unreadable: number;
};

/**
 * Which files a search looks at. Globs know `*`, `?`, `[…]`, `{a,b}` and `**`, and are relative to the search's
 * `path`. `?` and `[…]` stand for one byte: a letter beyond ASCII has several.
 */
export type FsSearchScope = {
  /** Globs of what is skipped; a directory that matches is not entered. */
  readonly exclude?: ReadonlyArray<string>;
  /** Look at names that begin with a dot, too. */
  readonly includeHidden?: boolean;
  /**
   * Look at what `.gitignore`, `.ignore` and `.git/info/exclude` exclude, too. Such files count below `path` and in the
   * directories above it, as git reads them; a repository's end at its root.
   */
  readonly includeIgnored?: boolean;
  /** Enter directories through symbolic links, each target once. */
  readonly followDirectorySymlinks?: boolean;
};

/** Parameters of `fs/setPermissions`. Flag `fsExtended`. */
export type FsSetPermissionsParams = {
  /** An existing file or directory. */
  readonly path: PathUri;
  /** The new permission bits, 0 to 0o7777, otherwise -32602. */
  readonly mode: number;
  /** When it is to have been changed last, in milliseconds since 1970; what a copy keeps of its original. Flag `fsTransfer`. */
  readonly modifiedAtMs?: number;
  /** Whether symbolic links may stand in the path; yes if absent. */
  readonly followSymlinks?: boolean;
  /** Confines this call. */
  readonly sandbox?: SandboxContext;
};

/** Parameters of `fs/statMany`: many `fs/getMetadata` in one round trip. Flag `fsExtended`. */
export type FsStatManyParams = {
  /** What to describe: at most `MAX_STAT_PATHS`, otherwise -32600. */
  readonly paths: ReadonlyArray<PathUri>;
  /** Whether symbolic links may stand in the paths; yes if absent. */
  readonly followSymlinks?: boolean;
  /** Confines this call. */
  readonly sandbox?: SandboxContext;
};

/** Result of `fs/statMany`. */
export type FsStatManyResponse = {
  /** One for each path, in the order of the request. One failure does not spoil the others. */
  readonly results: ReadonlyArray<FsStatResult>;
};

/** What `fs/getMetadata` would have answered for one path. */
export type FsStatResult =
  | {
    readonly type: "found";
    /** What it is. */
    readonly metadata: FsGetMetadataResponse;
  }
  | {
    readonly type: "failed";
    /** The error that the single call would have had. */
    readonly error: RpcError;
  };

/** A piece of a text, counted in UTF-16 code units: the positions that editors and JavaScript use. */
export type FsTextRange = {
  /** First unit, from 0. */
  readonly start: number;
  /** The unit after the last. */
  readonly end: number;
};

/** Parameters of `fs/unwatch`, for watches of either kind. An unknown one is fine. Flag `fsWatch`. */
export type FsUnwatchParams = {
  /** The watch to end. Notifications that are on their way may still arrive. */
  readonly watchId: WatchId;
};

/** One file or directory below the root. */
export type FsWalkEntry = {
  /** Where it is. */
  readonly path: PathUri;
  /** What it is. */
  readonly kind: FsEntryKind;
};

/** One entry that could not be read. */
export type FsWalkError = {
  /** Where. */
  readonly path: PathUri;
  /** The system's words. */
  readonly message: string;
};

/** How far `fs/walk` goes. Values beyond the maxima, and 0 for the latter two bounds, are -32600. */
export type FsWalkOptions = {
  /** Levels below the direct children: 0 to `MAX_WALK_DEPTH`. */
  readonly maxDepth: number;
  /** Directories to open: 1 to `MAX_WALK_DIRECTORIES`. */
  readonly maxDirectories: number;
  /** Entries to return: 1 to `MAX_WALK_ENTRIES`. */
  readonly maxEntries: number;
  /** Treat a symbolic link to a directory as one; each target is entered once. */
  readonly followDirectorySymlinks: boolean;
  /** List directories whose name begins with a dot, but do not enter them. */
  readonly pruneHiddenDirectories?: boolean;
};

/** Parameters of `fs/walk`: a whole tree, breadth first, names in order. */
export type FsWalkParams = {
  /** Where to begin. Anything but a directory gives an empty answer; nothing at all is -32004. */
  readonly path: PathUri;
  /** How far to go. */
  readonly options: FsWalkOptions;
  /** Confines this call. */
  readonly sandbox?: SandboxContext;
};

/** Result of `fs/walk`. */
export type FsWalkResponse = {
  /** Directories and regular files; links to files, broken links and special files are left out. */
  readonly entries: ReadonlyArray<FsWalkEntry>;
  /** What could not be read. */
  readonly errors: ReadonlyArray<FsWalkError>;
  /** Whether a bound cut the answer short. */
  readonly truncated: boolean;
};

/**
 * Parameters of `fs/watchMissing`: one notification as soon as one of these paths, or the first missing parent of one,
 * comes into existence, or what led there goes away. Flag `fsWatchMissing`.
 *
 * A connection has one such watch, its newest: another one takes its place.
 */
export type FsWatchMissingParams = {
  /** A name above those of every `fs/watchMissing` before it on this connection, the failed ones included, and above 0. */
  readonly watchId: WatchId;
  /** 1 to 64 paths that do not exist. */
  readonly missing: ReadonlyArray<PathUri>;
  /** A path that exists, which the caller found while it looked for the others: that it changes or goes away is told, too. */
  readonly present?: PathUri;
};

/** Result of `fs/watchMissing`. */
export type FsWatchMissingResponse = {
  /**
   * False if no notification will come: the list is empty or too long, one of the paths exists already, a symbolic link
   * stands on the way to one, the name was used, or the server can't watch there. Whoever asked looks for itself.
   */
  readonly watching: boolean;
};

/** Parameters of `fs/watch`: hear about every change until `fs/unwatch`. Flag `fsWatch`. */
export type FsWatchParams = {
  /** A name that no watch of this connection has, otherwise -32600. */
  readonly watchId: WatchId;
  /** An existing file or directory. */
  readonly path: PathUri;
  /** Watch everything below the directory, and not only its direct children. */
  readonly recursive?: boolean;
  /**
   * Globs, relative to `path`, of what is not of interest. Directories that match are not watched at all, which is
   * what keeps a watch on a large tree affordable.
   */
  readonly exclude?: ReadonlyArray<string>;
  /** Confines this watch. */
  readonly sandbox?: SandboxContext;
};

/** Result of `fs/watch`. From now on nothing is missed without notice. */
export type FsWatchResponse = {
  /** Where the watch really stands, without symbolic links: the paths in `fs/changed` begin with it. */
  readonly path: PathUri;
};

/** Parameters of `fs/writeBlock`. An unknown handle is -32004. Blocks may overlap, and may leave holes. */
export type FsWriteBlockParams = {
  /** A file opened for writing. */
  readonly handleId: FileHandleId;
  /** Where the first byte goes, counted from 0. */
  readonly offset: number;
  /** The bytes: 1 to `MAX_BLOCK_BYTES`, otherwise -32600. */
  readonly chunk: Base64Bytes;
};

/**
 * Parameters of `fs/writeFile`: create the file, or replace what is in it.
 *
 * Parents are not created. Unless `atomic` is set the file is truncated and written in place.
 */
export type FsWriteFileParams = {
  /** The file. */
  readonly path: PathUri;
  /**
   * The whole new content. Bad base64 is -32600 here, and its message begins with
   * `fs/writeFile requires valid base64 dataBase64: `.
   */
  readonly dataBase64: Base64Bytes;
  /** Whether symbolic links may stand in the path; yes if absent. */
  readonly followSymlinks?: boolean;
  /** Confines this call. */
  readonly sandbox?: SandboxContext;
  /**
   * Write beside the file and move the result into place, so that a reader sees the old content or the new one and
   * never half of it. Flag `fsExtended`.
   */
  readonly atomic?: boolean;
  /**
   * Write only if the file still has this etag, or, if this is the empty string, only if there is no file; otherwise
   * -32600. Flag `fsExtended`.
   */
  readonly ifMatch?: string;
  /**
   * Permission bits of the written file, 0 to 0o7777; absent leaves those of an old file and the system's default
   * for a new one. Flag `fsExtended`.
   */
  readonly mode?: number;
  /** A repeat of this write with the same key joins it or gets its answer. Flag `idempotentRequests`. */
  readonly requestKey?: RequestKey;
};

/** Result of `fs/writeFile`. */
export type FsWriteFileResponse = {
  /** Etag of what was written, for the next `ifMatch`. Flag `fsExtended`. */
  readonly etag?: string;
};

/**
 * Parameters of `fs/writeRange`: write a part of a regular file in one round trip, and leave the rest alone.
 *
 * To repeat it does no harm, so it survives a lost connection, as a handle does not. Parts may overlap, leave holes, and be
 * sent together; those that overlap take effect in any order.
 */
export type FsWriteRangeParams = {
  /** The file. */
  readonly path: PathUri;
  /** Where the first byte goes, counted from 0. */
  readonly offset: number;
  /** The bytes: at most `MAX_BLOCK_BYTES`, otherwise -32600. None at all is fine. */
  readonly dataBase64: Base64Bytes;
  /** Make the file if there is none; otherwise that is -32004. */
  readonly create?: boolean;
  /**
   * Permission bits of a file that is made by this, 0 to 0o7777, otherwise -32602; absent is the system's default. The
   * system takes away those that it denies to new files.
   */
  readonly mode?: number;
  /** Answer when all of the file is on its disk, and not only in memory. */
  readonly sync?: boolean;
  /** Whether symbolic links may stand in the path; yes if absent. */
  readonly followSymlinks?: boolean;
  /** Confines this call. */
  readonly sandbox?: SandboxContext;
};

/** Result of `fs/writeRange`. */
export type FsWriteRangeResponse = {
  /** Length of the file in bytes, right after the write. */
  readonly size: number;
};

/**
 * Parameters of the notification `http/request/bodyCredit`: the server may send more of a streamed body that was
 * requested with `creditBytes`. For a body that is over, or unknown, it means nothing. Flag `httpBodyCredit`.
 */
export type HttpBodyCreditNotification = {
  /** The stream. */
  readonly requestId: HttpRequestId;
  /** How many bytes more. */
  readonly bytes: number;
};

/** Parameters of the notification `http/request/bodyDelta`: a piece of a streamed body. */
export type HttpBodyDeltaNotification = {
  /** The stream. */
  readonly requestId: HttpRequestId;
  /** Number of this piece, from 1 without gaps. */
  readonly seq: number;
  /** The bytes; empty in the last piece. */
  readonly deltaBase64: Base64Bytes;
  /** Whether this is the last piece. */
  readonly done: boolean;
  /** Why the body broke off; only in a last piece, and null if it is complete. */
  readonly error: string | null;
  /** What kind of failure that was; absent from the reference peer. Flag `httpFailureCause`. */
  readonly cause?: HttpFailureCause;
};

/**
 * What kept an HTTP exchange from its end: `data.cause` of a failed `http/request`, and `cause` of a body's last piece.
 * Flag `httpFailureCause`.
 */
export type HttpFailureCause = "dns" | "connect" | "tls" | "timeout" | "redirect" | "protocol" | "tooLarge" | "cancelled";

/** One header of a response. */
export type HttpHeader = {
  /** Name, in lower case. */
  readonly name: string;
  /** Value. */
  readonly value: string;
};

/** What to do with a redirect. */
export type HttpRedirectPolicy = "follow" | "stop";

/** One header of a request. */
export type HttpRequestHeader = {
  /** Name, in any case. */
  readonly name: string;
  /** Value, or the beginning of it. */
  readonly value: string;
  /**
   * Name of a variable in the server's environment whose content is put behind `value`. Missing, empty and
   * credential-bearing variables are refused with -32602.
   */
  readonly valueEnvVar?: string;
};

/**
 * Names a request on its connection, mainly to tell streams apart. Chosen by the client; a stream's name may not be
 * used for another stream while it runs.
 */
export type HttpRequestId = string;

/** Parameters of `http/request`. */
export type HttpRequestParams = {
  /** Any HTTP token, for example `GET`. */
  readonly method: string;
  /** An absolute `http` or `https` URL. */
  readonly url: string;
  /** In order; a name may repeat. */
  readonly headers?: ReadonlyArray<HttpRequestHeader>;
  /** The body; absent means none. */
  readonly bodyBase64?: Base64Bytes;
  /** How long the exchange may take in all, a streamed body included; absent means for ever, 0 fails at once. */
  readonly timeoutMs?: number;
  /** What to do with a redirect. */
  readonly redirectPolicy?: HttpRedirectPolicy;
  /** Required of every request, but of importance only with `streamResponse`. */
  readonly requestId: HttpRequestId;
  /** Answer as soon as the headers are there, and send the body as `http/request/bodyDelta`. */
  readonly streamResponse?: boolean;
  /**
   * A repeat of this request with the same key joins it or gets its answer. A streamed answer can't be given twice:
   * its repeat is refused, and told that the request was sent. Flag `idempotentRequests`.
   */
  readonly requestKey?: RequestKey;
  /**
   * With `streamResponse`: how many bytes of the body may be sent before the client grants more with
   * `http/request/bodyCredit`. Absent means any number. Flag `httpBodyCredit`.
   */
  readonly creditBytes?: number;
};

/** Result of `http/request`. */
export type HttpRequestResponse = {
  /** Status code. */
  readonly status: number;
  /** Headers with lower-case names; those whose value is no text are left out. */
  readonly headers: ReadonlyArray<HttpHeader>;
  /** The whole body; empty for a streamed one. */
  readonly bodyBase64: Base64Bytes;
};

/** Parameters of `initialize`. */
export type InitializeParams = {
  /** Names the client in logs; may be empty. */
  readonly clientName: string;
  /** Session to resume; absent or null for a new one. */
  readonly resumeSessionId: SessionId | null;
  /**
   * With `resumeSessionId`: detach the connection that holds the session now, instead of failing with -32010.
   * Flag `sessionTakeover`.
   */
  readonly takeover?: boolean;
  /**
   * Session to watch, beside the connection that holds it or while none does: its processes' events are pushed and can
   * be read, and nothing can be changed. It neither keeps the session nor ends it. Not with `resumeSessionId`. Flag
   * `observers`.
   */
  readonly observeSessionId?: SessionId;
  /**
   * How long the session is to wait for its client whenever it is detached, instead of `limits.detachedSessionMs`; and
   * how long its closed processes stay readable, if that is longer than `limits.closedProcessRetentionMs`. The server
   * grants `limits.detachedSessionMaxMs` at most and says what it granted. 0 ends the session, with its processes, as
   * soon as it is detached. Absent when resuming: as before. Flag `sessionLifetime`.
   */
  readonly detachedLifetimeMs?: number;
  /** What the client takes besides the reference's messages. */
  readonly capabilities?: ClientCapabilities;
};

/** Result of `initialize`. Very old peers answer an empty object. */
export type InitializeResponse = {
  /** The session this connection is attached to, new or resumed. */
  readonly sessionId: SessionId;
  /** What the server's machine is like and what the server can do. */
  readonly environmentInfo?: EnvironmentInfo;
  /** Every bound that a client may run into. Flag `serverLimits`. */
  readonly limits?: ServerLimits;
  /** How long this session waits for its client whenever it is detached; absent for observers. Flag `sessionLifetime`. */
  readonly detachedLifetimeMs?: number;
};

/**
 * `managedNetwork` of `process/start`: what is left of the local network when a proxy, which the client's environment
 * variables name, is the only way out.
 */
export type ManagedNetwork = {
  /** Ports on the server's loopback that stay within reach. */
  readonly loopbackPorts?: ReadonlyArray<number>;
  /** Whether the process may listen on loopback. */
  readonly allowLocalBinding?: boolean;
  /** Paths of unix sockets that stay within reach. */
  readonly allowUnixSockets?: ReadonlyArray<string>;
  /** Whether all unix sockets stay within reach, which may let a process out of any sandbox. */
  readonly dangerouslyAllowAllUnixSockets?: boolean;
};

/** What to do about an entry whose path does not exist. */
export type MissingPathBehavior = "skip";

/** Parameters of `net/close`: end a stream in both directions. An unknown one is fine. Flag `portForward`. */
export type NetCloseParams = {
  /** The stream. */
  readonly streamId: NetStreamId;
};

/** Parameters of `net/connect`: a TCP stream to a port on the server's loopback. Flag `portForward`. */
export type NetConnectParams = {
  /** A name that no stream of this connection has, otherwise -32600. */
  readonly streamId: NetStreamId;
  /** The port, from 1. */
  readonly port: number;
  /**
   * How many bytes the server may send before it has heard that they were consumed;
   * `DEFAULT_NET_WINDOW_BYTES` if absent.
   */
  readonly windowBytes?: number;
};

/** Result of `net/connect`: the stream is open. */
export type NetConnectResponse = {
  /** As in the request. */
  readonly streamId: NetStreamId;
};

/** Parameters of the notification `net/data`, from server to client. Flag `portForward`. */
export type NetDataNotification = {
  /** The stream. */
  readonly streamId: NetStreamId;
  /** How many bytes of this stream came before these. */
  readonly offset: number;
  /** The next bytes, at most `MAX_NET_DATA_BYTES`; may be empty at the end. */
  readonly dataBase64: Base64Bytes;
  /** Nothing follows in this direction. */
  readonly eof?: boolean;
  /** Why the stream broke; it is over in both directions then. */
  readonly error?: string;
};

/**
 * Parameters of the request `net/data`, from client to server. It is answered with `{}` when the system has taken the
 * bytes, so a client that waits for answers is held to the stream's own speed. Flag `portForward`.
 */
export type NetDataParams = {
  /** The stream; an unknown one is -32004. */
  readonly streamId: NetStreamId;
  /** The next bytes, at most `MAX_NET_DATA_BYTES`; may be empty. */
  readonly dataBase64: Base64Bytes;
  /** Nothing follows: the server closes this direction. */
  readonly eof?: boolean;
  /** How many bytes of this stream the client has consumed in all, which lets the server send on. */
  readonly consumedBytes?: number;
};

/** Names a TCP stream on its connection. Chosen by the client; free again once the stream is over on both sides. */
export type NetStreamId = string;

/** What a client decides about a host. */
export type NetworkDecision =
  | { readonly type: "allow" }
  | {
    readonly type: "deny";
    /** Why, for people. */
    readonly reason: string;
  }
  | {
    readonly type: "ask";
    /** Why, for people. */
    readonly reason: string;
  };

/** A rule about a host. */
export type NetworkDomainAccess = "none" | "allow" | "deny";

/**
 * Parameters of the notification `network/policyDecision`: one decision, for audit.
 *
 * The words are texts here, since new ones appear and an audit record must not get lost over them.
 */
export type NetworkPolicyDecisionNotification = {
  /** Whose access it was. */
  readonly processId: ProcessId;
  /** When, as RFC 3339 in UTC. */
  readonly timestamp: string;
  /** What kind of rule it was about: `domain`. */
  readonly scope: string;
  /** `allow`, `deny` or `ask`. */
  readonly decision: string;
  /** Who decided: `baseline_policy` or `decider`. */
  readonly source: string;
  /** Why, for example `not_allowed`, `not_allowed_local`, `denied`. */
  readonly reason: string;
  /** As in `NetworkTarget`. */
  readonly protocol: string;
  /** As in `NetworkTarget`. */
  readonly host: string;
  /** As in `NetworkTarget`. */
  readonly port: number;
  /** HTTP method, where there is one. */
  readonly method: string | null;
  /** Address of the process's end, where there is one. */
  readonly client: string | null;
  /** Whether the client's answer overrode a rule. */
  readonly policyOverride: boolean;
};

/** Parameters of `network/policyRequest`, which the server sends to the client. */
export type NetworkPolicyRequestParams = {
  /** Whose access it is. */
  readonly processId: ProcessId;
  /** What it wants to reach. */
  readonly request: NetworkTarget;
};

/** Result of `network/policyRequest`. An error, silence, or anything that does not decode means deny. */
export type NetworkPolicyResponse = {
  /** What was decided. */
  readonly decision: NetworkDecision;
};

/** What a proxy lets through. */
export type NetworkProxyConfig = {
  /** Must be true, otherwise -32602. */
  readonly enabled: boolean;
  /** Offer SOCKS5 beside HTTP. */
  readonly enableSocks5: boolean;
  /** Offer UDP over SOCKS5. */
  readonly enableSocks5Udp: boolean;
  /** Use the proxy that the server's own environment names. */
  readonly allowUpstreamProxy: boolean;
  /** Whether requests may go to any unix socket. */
  readonly dangerouslyAllowAllUnixSockets: boolean;
  /** Which HTTP methods pass. */
  readonly mode: NetworkProxyMode;
  /**
   * Rules by host pattern: `a.b` exactly, `*.a.b` below it, `**.a.b` both, `*` everything (to allow only). Deny
   * wins.
   */
  readonly domains?: { readonly [key in string]: NetworkDomainAccess };
  /** Rules by absolute path of a unix socket. */
  readonly unixSockets?: { readonly [key in string]: NetworkUnixSocketAccess };
  /** Let requests reach loopback and private addresses without a rule of their own. */
  readonly allowLocalBinding: boolean;
  /** Host patterns that are always put to the client, even if a rule allows them. */
  readonly reviewDomains?: ReadonlyArray<string>;
  /**
   * Credentials that the proxy would put in, by name of the provider. Kept as it came, so that a server that does
   * not mask credentials can see that it was asked to and refuse.
   */
  readonly credentialProviders?: Record<string, unknown>;
};

/** `networkProxy` of `process/start`: a proxy that the server runs for this one process. */
export type NetworkProxyLaunch = {
  /** What the proxy lets through. */
  readonly proxy: NetworkProxyConfig;
  /** Passed through to the audit record. */
  readonly auditMetadata?: Record<string, unknown>;
  /** Which environment this is, for the audit record. */
  readonly environmentId?: string;
  /** Which execution this is, for the audit record. */
  readonly executionId?: string;
  /**
   * Ask the client (`network/policyRequest`) about hosts that no rule covers, and wait this long for its answer;
   * 0 is -32602, absent means such hosts are denied.
   */
  readonly policyDecisionTimeoutMs?: number;
};

/** Which HTTP methods pass a proxy. */
export type NetworkProxyMode = "limited" | "full";

/** Something to be reached over the network. */
export type NetworkTarget = {
  /** How: `http`, `https_connect`, and further ones. */
  readonly protocol: string;
  /** Name or address, in lower case. */
  readonly host: string;
  /** Port. */
  readonly port: number;
};

/** A rule about a unix socket. */
export type NetworkUnixSocketAccess = "allow" | "deny";

/** Parameters of a method that has none: `null`, nothing, or `{}`. */
export type NoParams = Record<string, never> | null;

/** How much output of a process is kept for those who have still to read it. */
export type OutputBudget = {
  /** Bytes to keep; the server's own bound otherwise, and at most. */
  readonly retainBytes?: number;
  /** What happens at the budget. Absent: `wait` while a connection holds the session, `dropOldest` while none does. */
  readonly whenFull?: WhenFull;
};

/** Where output came from. */
export type OutputStream = "stdout" | "stderr" | "pty";

/**
 * An absolute path as a `file:` URI, for example `file:///tmp/a%20b`.
 *
 * Parsing resolves `.` and `..` by text alone, drops `localhost`, and reduces escapes to the needed ones in upper
 * case, so that equal paths have equal texts. A URI made for another kind of host (`file:///C:/x`,
 * `file://server/share`) parses everywhere and is refused only by `to_host_path_bytes`, so
 * that it can be passed on.
 *
 * A few native paths have no plain spelling: those with a `..` component, which every parser would resolve without
 * asking where links lead, and those whose first component looks like a drive (`/C:`). They travel as
 * `file:///%00/bad/path/` and the base64url text of their bytes. Such a value names itself alone: its text tells
 * nothing about what lies above or below it.
 */
export type PathUri = string;

/**
 * Parameters of the notification `process/ack`: how far the client's readers of a process are. Between a reader that stands
 * still and the process nothing but the server's log fills up. Only from a client that announced `outputWindowBytes`; of a
 * process that is unknown, or gone, it means nothing. Flag `outputWindow`.
 */
export type ProcessAckNotification = {
  /** Whose output. */
  readonly processId: ProcessId;
  /**
   * The slowest reader has everything through here: what comes behind it is kept. Less than was said before changes
   * nothing, and a position that is still to come means the last one. Absent: there is no reader. No output is pushed,
   * or kept for this client, until a position is said again; exit and close are told.
   */
  readonly throughSeq?: Seq;
  /**
   * The furthest reader has everything through here: what comes behind it is pushed, as far as the window reaches.
   * Absent: as `throughSeq`.
   */
  readonly afterSeq?: Seq;
};

/** Parameters of `process/closeStdin`: ends stdin behind everything that was written. Flag `processStdinClose`. */
export type ProcessCloseStdinParams = {
  /** Whose stdin. */
  readonly processId: ProcessId;
  /** As for `process/write`, from the same space. */
  readonly writeId: WriteId;
};

/** Notification `process/closed`: always a process's last. */
export type ProcessClosedNotification = {
  /** Whose. */
  readonly processId: ProcessId;
  /** Its position. */
  readonly seq: Seq;
  /** Bytes of output in all. Flag `gapAccounting`. */
  readonly outputBytes?: number;
  /** CRC-32C of all output in log order, over all streams: eight lower-case hex digits. Flag `gapAccounting`. */
  readonly crc32c?: string;
};

/** Notification `process/exited`: the process itself ended; output may still follow. */
export type ProcessExitedNotification = {
  /** Whose. */
  readonly processId: ProcessId;
  /** Its position. */
  readonly seq: Seq;
  /** Exit code, or 128 + n after signal n. */
  readonly exitCode: number;
  /** Whether the sandbox refused something. Old peers do not say. */
  readonly sandboxDenied?: boolean;
  /** Why it ended. Flag `processTimeout`. */
  readonly reason?: ExitReason;
  /** Number of the signal that ended it. Flag `processTimeout`. */
  readonly signal?: number;
  /** What it used. Flag `processUsage`. */
  readonly usage?: ProcessUsage;
  /**
   * What the sandbox kept it from, in the order in which that was first tried, each once, the first 32. Absent if that is not
   * known. Flag `sandboxDenials`.
   */
  readonly denials?: ReadonlyArray<SandboxDenial>;
};

/** Names a process within its session. Chosen by the client; never an operating system's pid. May be empty. */
export type ProcessId = string;

/** Bounds on what a process and its descendants may use. */
export type ProcessLimits = {
  /** Memory. */
  readonly memoryBytes?: number;
  /** Processes at one time. */
  readonly processes?: number;
  /** Processor time. */
  readonly cpuMs?: number;
  /** Open files of each process. */
  readonly openFiles?: number;
  /** Size of each file written. */
  readonly fileBytes?: number;
};

/** How a server keeps `process/start.limits`. */
export type ProcessLimitsSupport = {
  /**
   * Whether `memoryBytes` and `processes` bound a process together with everybody below it, by a control group. Otherwise
   * they are resource limits, which are weaker: each process has as much by itself.
   */
  readonly wholeTrees: boolean;
  /** Why not, and what the operator can do about it. */
  readonly reason?: string;
};

/** Result of `process/list`. Flag `processList`. */
export type ProcessListResponse = {
  /** This session's processes, by their time of start. */
  readonly processes: ReadonlyArray<ProcessSummary>;
};

/** Who asked for a process. */
export type ProcessMetadata = {
  /** Conversation that the process belongs to. */
  readonly threadId?: string;
  /** Tool call that the process belongs to. */
  readonly toolCallId?: string;
};

/** A stretch of one stream's output. */
export type ProcessOutputChunk = {
  /** Its position. */
  readonly seq: Seq;
  /** Where it came from. */
  readonly stream: OutputStream;
  /** The bytes. */
  readonly chunk: Base64Bytes;
  /** Output bytes of the process before this chunk, over all its streams. Flag `gapAccounting`. */
  readonly offset?: number;
};

/** Notification `process/output`. */
export type ProcessOutputNotification = {
  /** Whose. */
  readonly processId: ProcessId;
  /** Its position. */
  readonly seq: Seq;
  /** Where it came from. */
  readonly stream: OutputStream;
  /** The bytes. */
  readonly chunk: Base64Bytes;
  /** Output bytes of the process before this chunk, over all its streams. Flag `gapAccounting`. */
  readonly offset?: number;
};

/** Parameters of `process/read`. */
export type ProcessReadParams = {
  /** Whose output. */
  readonly processId: ProcessId;
  /** Read what comes after this position; 0 or absent for everything retained. */
  readonly afterSeq?: Seq;
  /** Stop before a chunk that would pass this many raw bytes; at least one chunk is returned. Unlimited otherwise. */
  readonly maxBytes?: number;
  /** How long to wait for the next event when nothing is there; 0 or absent does not wait. */
  readonly waitMs?: number;
};

/** Result of `process/read`. */
export type ProcessReadResponse = {
  /** Retained output after `afterSeq`, in order. A jump in `seq` that is no exit or close is output that was dropped. */
  readonly chunks: ReadonlyArray<ProcessOutputChunk>;
  /** Pass `nextSeq - 1` as the next `afterSeq`. */
  readonly nextSeq: Seq;
  /** Whether the process itself has ended. Output may still follow. */
  readonly exited: boolean;
  /** Its exit code, 128 + n after signal n; null until it exited. */
  readonly exitCode: number | null;
  /** Whether all its streams have ended. Nothing follows. */
  readonly closed: boolean;
  /** Why the process can't be followed any more; made by clients, always null from a server. */
  readonly failure: string | null;
  /** Whether the sandbox refused something. Old peers do not say. */
  readonly sandboxDenied?: boolean;
  /** What can't be read any more; absent when nothing was dropped. Flag `gapAccounting`. */
  readonly dropped?: DroppedOutput;
  /** Bytes of output so far, dropped ones included. Flag `gapAccounting`. */
  readonly outputBytes?: number;
};

/** Parameters of `process/resize`. Flag `processResize`. */
export type ProcessResizeParams = {
  /** A process with a pseudoterminal. */
  readonly processId: ProcessId;
  /** New height. */
  readonly rows: number;
  /** New width. */
  readonly cols: number;
};

/** Signals by name. All but `interrupt` need the flag `processSignals`. */
export type ProcessSignal = "interrupt" | "terminate" | "kill" | "hangup" | "quit" | "stop" | "continue" | "usr1" | "usr2";

/** Parameters of `process/signal`: goes to the process group. */
export type ProcessSignalParams = {
  /** Whom. */
  readonly processId: ProcessId;
  /** What. */
  readonly signal: ProcessSignal;
};

/** Parameters of `process/start`. */
export type ProcessStartParams = {
  /** Chosen by the client; free again once the process was closed and its retention has passed. */
  readonly processId: ProcessId;
  /** Program and arguments; a program without a slash is searched in the child's own `PATH`. */
  readonly argv: ReadonlyArray<string>;
  /** Working directory of the child. */
  readonly cwd: PathUri;
  /** The child's whole environment, or what is laid over `envPolicy`'s. */
  readonly env: { readonly [key in string]: string };
  /** Run on a pseudoterminal: one stream, echo, line discipline. */
  readonly tty: boolean;
  /** Makes the environment from the server's own; absent means exactly `env`. */
  readonly envPolicy?: EnvPolicy;
  /** Connect stdin to a pipe that `process/write` feeds; otherwise it is empty. */
  readonly pipeStdin?: boolean;
  /** What the child sees as `argv[0]`. */
  readonly arg0?: string;
  /** What the process may touch. */
  readonly sandbox?: SandboxContext;
  /** Refuse to start unless the managed network can be enforced. */
  readonly enforceManagedNetwork?: boolean;
  /** Loopback access of a process with a managed network. */
  readonly managedNetwork?: ManagedNetwork;
  /** A proxy that the server runs for the process. */
  readonly networkProxy?: NetworkProxyLaunch;
  /**
   * Lets a login shell begin with what its files left earlier in the same scope, instead of reading them. Variables that `env` or
   * `envPolicy.set` name win over theirs. A start that is none of `[shell.path, "-lc", command, …]` is made as it is. Flag
   * `shellSnapshotV2`.
   */
  readonly shellSnapshot?: ShellSnapshot;
  /** Who asked, for logs. */
  readonly metadata?: ProcessMetadata;
  /** How much output is kept, and what happens when that is full. Flag `outputBudget`. */
  readonly output?: OutputBudget;
  /** First size of the pseudoterminal; 24 rows and 80 columns otherwise. Flag `processResize`. */
  readonly size?: PtySize;
  /** Ends the process, descendants included, when it still runs after this many milliseconds. Flag `processTimeout`. */
  readonly timeoutMs?: number;
  /** Bounds on what the process may use. Flag `processLimits`. */
  readonly limits?: ProcessLimits;
  /** A repeat of this start with the same key joins it or gets its answer. Flag `idempotentRequests`. */
  readonly requestKey?: RequestKey;
};

/** Result of `process/start`. */
export type ProcessStartResponse = {
  /** As in the request. */
  readonly processId: ProcessId;
  /** What confines the process. Old peers do not say. */
  readonly sandboxType?: SandboxType;
};

/** How far a process is. */
export type ProcessState = "starting" | "running" | "exited" | "closed";

/** One process of a session. */
export type ProcessSummary = {
  /** Its id. */
  readonly processId: ProcessId;
  /** How far it is. */
  readonly state: ProcessState;
  /** As it was started. */
  readonly argv: ReadonlyArray<string>;
  /** As it was started. */
  readonly cwd: PathUri;
  /** As it was started. */
  readonly tty: boolean;
  /** The operating system's number; absent while it is being started. */
  readonly osPid?: number;
  /** Milliseconds since the Unix epoch. */
  readonly startedAtMs: number;
  /** Its exit code, once it exited. */
  readonly exitCode?: number;
  /** The last position in its log. */
  readonly lastSeq: Seq;
  /** Bytes of output so far. */
  readonly outputBytes: number;
  /** What can't be read any more. */
  readonly dropped?: DroppedOutput;
};

/** Parameters of `process/terminate`: ends the process and every descendant. */
export type ProcessTerminateParams = {
  /** Whom. */
  readonly processId: ProcessId;
  /**
   * Send SIGTERM first and kill only what still runs after this long; absent or 0 kills at once.
   * Flag `processTerminateGrace`.
   */
  readonly graceMs?: number;
  /**
   * The key its start was sent with: a process of that id that was started otherwise is left alone and not spoken of,
   * as if the id were unknown. Absent: whichever process has the id. Flag `idempotentRequests`.
   */
  readonly requestKey?: RequestKey;
};

/** Result of `process/terminate`. */
export type ProcessTerminateResponse = {
  /** Whether the process was alive when the request came. */
  readonly running: boolean;
  /**
   * Descendants that could not be ended; 0 means the kill is complete. Absent when there was nothing to end.
   * Flag `processTerminateGrace`.
   */
  readonly survivors?: number;
};

/** What a process used, descendants that it waited for included. */
export type ProcessUsage = {
  /** From start to exit. */
  readonly wallMs: number;
  /** Processor time in the program. */
  readonly userMs: number;
  /** Processor time in the kernel. */
  readonly systemMs: number;
  /** Largest resident set of any of them. Absent when it was below the server's own, which masks smaller ones. */
  readonly maxRssBytes?: number;
};

/** Parameters of `process/write`. */
export type ProcessWriteParams = {
  /** Whose stdin. */
  readonly processId: ProcessId;
  /** The bytes; none are fine. */
  readonly chunk: Base64Bytes;
  /** Not empty. A repeat is answered `accepted` and not written again. */
  readonly writeId: WriteId;
};

/** Result of `process/write` and `process/closeStdin`. */
export type ProcessWriteResponse = {
  /** What became of it. */
  readonly status: WriteStatus;
};

/** Size of a pseudoterminal in character cells, each from 1 to 65,535. */
export type PtySize = {
  /** Height. */
  readonly rows: number;
  /** Width. */
  readonly cols: number;
};

/** Matches an answer to its request. Client and server count in spaces of their own. */
export type RequestId = number | string;

/** Names one attempt of a request that must not run twice; a repeat joins the first or gets its recorded answer. */
export type RequestKey = string;

/** The `error` member of a failed request. */
export type RpcError = {
  /** One of `ErrorCode`'s numbers, or a peer's own. */
  readonly code: number;
  /** What happened, for people. */
  readonly message: string;
  /** What happened, for programs; absent from the reference peer. */
  readonly data?: unknown;
};

/** What may be done with files. */
export type SandboxAccess = "read" | "write" | "deny";

/** A sandbox, and what is needed to give its symbolic places a meaning. */
export type SandboxContext = {
  /** What is allowed. */
  readonly permissions: SandboxPermissions;
  /** How Windows would enforce it; required everywhere, of importance only there. */
  readonly windowsSandboxLevel: WindowsSandboxLevel;
  /**
   * Where relative globs start. A process falls back to its own working directory; a file call whose entries need it
   * is refused without.
   */
  readonly cwd?: PathUri;
  /** What `project_roots` stands for; with none it stands for nothing. */
  readonly workspaceRoots?: ReadonlyArray<PathUri>;
  /** What `~/` in a glob stands for. */
  readonly userHomeDir?: PathUri;
  /** The client's idea of temporary directories. */
  readonly temporaryDirectories?: ReadonlyArray<PathUri>;
  /** Ask for the old Linux mechanism. What it can't express is refused, never left out. */
  readonly useLegacyLandlock?: boolean;
  /** Newer home of `cwd` and `workspaceRoots`; where both are given, this one counts. */
  readonly policyContext?: SandboxPolicyContext;
  /** What Windows does about proxy settings of the sandbox's user. */
  readonly windowsSandboxProxySettingsMode?: WindowsSandboxProxySettingsMode;
  /** Whether someone approved a departure from the sandbox. */
  readonly sandboxOverride?: SandboxOverride;
};

/** Something that a sandbox kept a process from. */
export type SandboxDenial = {
  /** The system call, by its name. */
  readonly operation: string;
  /** The file that it was about, if any. */
  readonly path?: PathUri;
  /** The address that it was about, if any: `192.0.2.1:80`. */
  readonly address?: string;
  /** What decided, for people: `read /`, `deny /home/me/.ssh`, `protected /srv/app/.git`, `network restricted`, `never allowed`. */
  readonly rule: string;
};

/** One rule about files. */
export type SandboxEntry = {
  /** Where it holds, with everything below. */
  readonly path: SandboxPath;
  /** What it says. */
  readonly access: SandboxAccess;
  /** What to do if there is nothing at `path`. */
  readonly missing_path_behavior?: MissingPathBehavior;
};

/** Which files may be touched. */
export type SandboxFileSystem =
  | {
    readonly type: "restricted";
    /**
     * In any order: of all entries that contain a path the deepest counts, and at one depth deny beats write beats
     * read.
     */
    readonly entries: ReadonlyArray<SandboxEntry>;
    /** How many levels deep globs look for files; at least 1. */
    readonly glob_scan_max_depth?: number;
  }
  | { readonly type: "unrestricted" };

/** Whether the network may be reached. */
export type SandboxNetwork = "restricted" | "enabled";

/** Whether someone approved a departure from the sandbox. */
export type SandboxOverride = "noOverride" | "escalatedSandboxWithRestrictions" | "bypassSandboxFirstAttempt";

/** Where a rule holds. */
export type SandboxPath =
  | {
    readonly type: "path";
    /** The path. */
    readonly path: PathUri;
  }
  | {
    readonly type: "glob_pattern";
    /** `*` and `?` stay within one component; relative to the working directory, `~/` to the user's home. */
    readonly pattern: string;
  }
  | {
    readonly type: "special";
    /** The place. */
    readonly value: SandboxSpecialPath;
  };

/** What is allowed, and who sees to it. */
export type SandboxPermissions =
  | {
    readonly type: "managed";
    /** Files. */
    readonly file_system: SandboxFileSystem;
    /** Network. */
    readonly network: SandboxNetwork;
  }
  | { readonly type: "disabled" }
  | {
    readonly type: "external";
    /** Network. */
    readonly network: SandboxNetwork;
  };

/** See `SandboxContext::policy_context`. */
export type SandboxPolicyContext = {
  /** As in `SandboxContext`. */
  readonly cwd?: PathUri;
  /** As in `SandboxContext`. */
  readonly workspaceRoots?: ReadonlyArray<PathUri>;
};

/** A place with a meaning. */
export type SandboxSpecialPath =
  | { readonly kind: "root" }
  | { readonly kind: "minimal" }
  | { readonly kind: "current_working_directory" }
  | {
    readonly kind: "project_roots";
    /** A place within each root, which it must not leave. */
    readonly subpath?: string;
  }
  | { readonly kind: "tmpdir" }
  | { readonly kind: "slash_tmp" }
  | {
    readonly kind: "unknown";
    /** Its name. */
    readonly path: string;
    /** A place within. */
    readonly subpath?: string;
  };

/** How launchers of sandboxes stand by at one moment. */
export type SandboxStandby = {
  /** How many there are. */
  readonly launchers: number;
  /** How many of these would begin at once. */
  readonly ready: number;
  /** How many processes they have started since the server began. */
  readonly hits: number;
  /** How many starts that they could have served found none ready. */
  readonly misses: number;
  /** The process that makes them, if there is one just now. */
  readonly zygoteOsPid?: number;
};

/** Which sandboxes a server can enforce; what it can't is refused. */
export type SandboxSupport = {
  /** Whether processes can be confined. */
  readonly processes: boolean;
  /** Why not, and what the operator can do about it. */
  readonly reason?: string;
  /** How launchers stand by for the next process. Absent where none are to. */
  readonly standby?: SandboxStandby;
};

/** What confines a process. */
export type SandboxType = "none" | "linuxSeccomp" | "macosSeatbelt" | "windowsRestrictedToken" | "unknown";

/** Names a running search on its connection. Chosen by the client; free again after the answer. */
export type SearchId = string;

/** Position in one process's log. The first event is 1; 0 means "before everything". */
export type Seq = number;

/** Bounds of the server, with their units in the names. All are inclusive: a value equal to the bound is accepted. */
export type ServerLimits = {
  /** Payload of one inbound WebSocket frame. */
  readonly inboundFrameBytes: number;
  /** One inbound message, over all its fragments. */
  readonly inboundMessageBytes: number;
  /** JSON values in one inbound message. */
  readonly messageValues: number;
  /** Containers open at once in one inbound message. */
  readonly messageDepth: number;
  /** Requests of one connection that may be waiting for their answers. */
  readonly requestsInFlight: number;
  /** Bytes of such waiting requests, beyond which further ones that would wait are refused. */
  readonly requestBytesInFlight: number;
  /** Connections that may observe one session at a time. Flag `observers`. */
  readonly observersPerSession?: number;
  /** Processes of one session, closed ones that are still readable included. */
  readonly processesPerSession: number;
  /** Output kept in one process's log, in memory and in its file. */
  readonly retainedOutputBytes: number;
  /** Output events kept in memory, however small. Where there is no place for files, all that are kept. */
  readonly retainedOutputChunks: number;
  /** What the files of all logs together may take. Absent from servers that keep no files. */
  readonly retainedOutputTotalBytes?: number;
  /**
   * Output in the answer to one `process/read`, whatever its `maxBytes`. Absent from servers
   * that give what they have.
   */
  readonly readOutputBytes?: number;
  /** The most that may be sent of one process ahead of what its client acknowledged. Flag `outputWindow`. */
  readonly outputWindowBytes?: number;
  /** Largest chunk that the server emits. */
  readonly outputChunkBytes: number;
  /** How long a closed process stays readable. */
  readonly closedProcessRetentionMs: number;
  /** How long a session waits for its client to come back, unless the client asked for another time. */
  readonly detachedSessionMs: number;
  /** The longest that a client may ask for with `detachedLifetimeMs`. Flag `sessionLifetime`. */
  readonly detachedSessionMaxMs?: number;
  /** Write ids remembered for each process. */
  readonly rememberedWriteIds: number;
  /** Request keys remembered for each session. */
  readonly rememberedRequestKeys: number;
  /** Bytes accepted for a process's stdin and not yet taken by it, beyond which writes wait. */
  readonly queuedStdinBytes: number;
};

/** Names a session: a version 4 UUID that the server chose. Whoever knows it may resume the session. */
export type SessionId = string;

/** A shell that a client may use to run command lines. */
export type ShellInfo = {
  /** File name of the shell, such as `bash`. */
  readonly name: string;
  /** Native absolute path of the shell. */
  readonly path: string;
};

/** Names the login-shell snapshot of a scope. */
export type ShellSnapshot = {
  /** Snapshots are shared within a scope of one session. 1 to 256 bytes. */
  readonly scopeId: string;
  /** The shell: `bash`, `zsh` or `sh`, and the path that `argv` begins with. */
  readonly shell: ShellInfo;
};

/** What a skill needs. */
export type SkillDependencies = {
  /** At least one. */
  readonly tools: ReadonlyArray<SkillTool>;
};

/** When a skill may be used. */
export type SkillPolicy = {
  /** Whether it may be used without being named. */
  readonly allowImplicitInvocation: boolean | null;
  /** Products that it is for: `codex`, `chatgpt`, `atlas`; all if there is none. */
  readonly products: ReadonlyArray<string>;
};

/** A directory in which skills are looked for. */
export type SkillRoot = {
  /** `codex-home-skills`, `user-agent-skills` or `system-skills`. */
  readonly id: string;
  /** The directory. */
  readonly path: PathUri;
};

/** A tool that a skill needs. */
export type SkillTool = {
  /** What it is, such as `mcp`. */
  readonly type: string;
  /** Which one. */
  readonly value: string;
  /** For people. */
  readonly description: string | null;
  /** How it is spoken to. */
  readonly transport: string | null;
  /** What starts it. */
  readonly command: string | null;
  /** Where it is. */
  readonly url: string | null;
  /** Peers were only ever seen to send none. */
  readonly oauthCallbackPort: number | null;
};

/** W3C trace context that a request may carry. Its content is passed on as it is, never validated. */
export type TraceContext = {
  /** `traceparent` header of W3C Trace Context. */
  readonly traceparent?: string;
  /** `tracestate` header of W3C Trace Context. */
  readonly tracestate?: string;
};

/**
 * Names a watch on its connection. Chosen by the client; best used once, since notifications of a watch that was ended may
 * still be on their way.
 */
export type WatchId = number;

/** What happens when a process's output budget is full. */
export type WhenFull = "wait" | "dropOldest";

/** How Windows would enforce a sandbox. */
export type WindowsSandboxLevel = "disabled" | "restricted-token" | "elevated" | "mxc";

/** What Windows does about proxy settings of the sandbox's user. */
export type WindowsSandboxProxySettingsMode = "reconcile" | "preserve";

/** Names one `process/write` (or `process/closeStdin`) within its process, so that a resend is never applied twice. */
export type WriteId = string;

/** What became of a write. */
export type WriteStatus = "accepted" | "unknownProcess" | "stdinClosed" | "starting";
