// The shapes of what programs hold, in the types of the platforms that they come from. Compiled by `npm run check`, never run.

import type { ChildProcess } from "node:child_process";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import type * as vscode from "vscode";
import type {
  Client,
  ConnectionState,
  Environments,
  ExitStatus,
  FsChangeEvent,
  FsMatch,
  Output,
  ProcessEvent,
  ProcessHandle,
} from "../src/index.js";
import type { ExecutorTransport } from "../src/mcp.js";
import type { RemoteChildProcess, spawn } from "../src/node.js";
import type { RemoteFileSystem, RemotePseudoterminal } from "../src/vscode.js";

/** Compiles only where `A` can be used as `B`. */
type Fits<A extends B, B> = A;
type Resolved<F extends (...args: never[]) => unknown> = Awaited<ReturnType<F>>;

export type Disposables = Fits<Client | ProcessHandle | Environments | ExecutorTransport, AsyncDisposable>;
export type Iterables = [
  Fits<ProcessHandle, AsyncIterable<ProcessEvent>>,
  Fits<ReturnType<ProcessHandle["events"]>, AsyncIterable<ProcessEvent>>,
  Fits<ReturnType<ProcessHandle["lines"]>, AsyncIterable<string>>,
  Fits<ReturnType<Client["fs"]["watch"]>, AsyncIterable<FsChangeEvent>>,
  Fits<ReturnType<Client["fs"]["search"]>, AsyncIterable<FsMatch>>,
];
export type Streams = [
  Fits<ProcessHandle["stdout" | "stderr"], ReadableStream<Uint8Array>>,
  Fits<ProcessHandle["stdin"], WritableStream<Uint8Array | string>>,
  Fits<ReturnType<Client["fs"]["readStream"]>, ReadableStream<Uint8Array>>,
  Fits<ReturnType<Client["fs"]["writeStream"]>, WritableStream<Uint8Array | string>>,
];
export type Answers = [
  Fits<Resolved<Client["process"]["start"]>, ProcessHandle>,
  Fits<Resolved<Client["process"]["run"]>, Output>,
  Fits<Resolved<ProcessHandle["output"]>, Output>,
  Fits<Awaited<ProcessHandle["exited"]>, ExitStatus>,
  Fits<Resolved<Client["http"]["fetch"]>, Response>,
  Fits<Resolved<Client["sessions"]["takeOver"] | Client["sessions"]["observe"]>, Client>,
  Fits<Resolved<Environments["get"]>, Client>,
  Fits<Client["state"], ConnectionState>,
];
/** `fetch` may stand where the platform's is expected that takes what everybody passes. */
export type Fetch = Fits<Client["http"]["fetch"], (input: string | URL | Request) => Promise<Response>>;
export type Mcp = Fits<ExecutorTransport, Transport>;
export type Editor = [
  Fits<RemotePseudoterminal, vscode.Pseudoterminal>,
  Fits<RemoteFileSystem, vscode.FileSystemProvider>,
];
export type Child = [
  Fits<ReturnType<typeof spawn>, RemoteChildProcess>,
  Fits<
    RemoteChildProcess,
    Pick<ChildProcess, "stdin" | "stdout" | "stderr" | "killed" | "exitCode" | "spawnfile">
  >,
];
