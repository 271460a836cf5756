// One session with the server: its connection, its processes, and how fast they speak. Asks once a second while somebody
// looks at the page; everything else is pushed.

import {
  type Client,
  type ConnectionState,
  type ConnectOptions,
  connect,
  type ExecError,
  isExecError,
  type ProcessHandle,
  type ProcessSummary,
} from "codex-exec-server-sdk";
import { serverUrl } from "./access.js";

/** A second of a session. */
export interface Sample {
  readonly atMs: number;
  /** How long a question took; absent while there is no connection. */
  readonly latencyMs: number | undefined;
  /** Output of all its processes. */
  readonly bytesPerSecond: number;
}

/** How a session is. */
export type SessionState = { readonly status: "connecting" } | ConnectionState;

export const SAMPLE_EVERY_MS = 1000;
export const MAX_SAMPLES = 120;
/** How long the server keeps a session without a page, and a page looks for its server. */
const KEPT_MS = 15 * 60_000;

/** See the head of the file. Dispatches `change` whenever something of it is different. */
export class SessionModel extends EventTarget {
  /** Known once it is connected, and from before. */
  id: string | undefined;
  /** Whether it is only watched: then somebody else holds it, and whatever would change it is refused. */
  isWatched: boolean;
  state: SessionState = { status: "connecting" };
  client: Client | undefined;
  processes: readonly ProcessSummary[] = [];
  readonly samples: Sample[] = [];
  readonly #token: string | undefined;
  /** One handle for each process that is followed. */
  readonly #handles = new Map<string, Promise<ProcessHandle>>();
  readonly #over = new AbortController();
  /** Counts connections: what becomes of an earlier one is no matter. */
  #turn = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #asking: Promise<void> | undefined;
  #lastTotal: { readonly atMs: number; readonly bytes: ReadonlyMap<string, number> } | undefined;

  constructor(token: string | undefined, id: string | undefined, isWatched = false) {
    super();
    this.#token = token;
    this.id = id;
    this.isWatched = isWatched;
  }

  /** A few letters of its id, which as a whole is a secret. */
  get name(): string {
    return this.id?.slice(0, 6) ?? "…";
  }

  get runningCount(): number {
    return this.processes.filter(({ state }) => state === "starting" || state === "running").length;
  }

  /** What is known of a process of it. */
  process(processId: string | undefined): ProcessSummary | undefined {
    return this.processes.find((process) => process.processId === processId);
  }

  /** Connects: to the session it knows, or to a new one. Again after a failure. Never rejects; see `state`. */
  async open(): Promise<void> {
    const before = this.client;
    const turn = ++this.#turn;
    this.client = undefined;
    this.#handles.clear();
    this.#set({ status: "connecting" });
    await before?.close();
    try {
      const client = await connect(serverUrl(), {
        clientName: "codex-exec-server-console",
        recoveryDeadlineMs: KEPT_MS,
        detachedLifetimeMs: KEPT_MS,
        signal: this.#over.signal,
        onState: (state) => {
          if (turn === this.#turn) this.#set(state);
        },
        ...(this.#token !== undefined && { token: this.#token }),
        ...this.#wanted(),
      });
      this.client = client;
      this.id = client.sessionId;
      this.#set(client.state);
      await this.refresh();
      this.#schedule();
    } catch (error) {
      if (this.#over.signal.aborted) return;
      this.#set({ status: "failed", error: asExecError(error) });
    }
  }

  /** Connects again, to watch it only: it stays where it is. */
  watch(): Promise<void> {
    this.isWatched = true;
    return this.open();
  }

  /** Connects again, to hold it: whoever does now loses it. */
  takeBack(): Promise<void> {
    this.isWatched = false;
    return this.open();
  }

  /** Lets go of it; the server keeps it, and its processes, for a while. */
  async leave(): Promise<void> {
    this.#over.abort();
    clearTimeout(this.#timer);
    await this.client?.close();
  }

  /** The handle of a process, taking it up behind `after` where it is not followed yet. */
  follow(processId: string, after = 0): Promise<ProcessHandle> {
    const known = this.#handles.get(processId);
    if (known !== undefined) return known;
    if (this.client === undefined) return Promise.reject(new Error("the session is not connected yet"));
    const handle = this.client.process.attach(processId, { after });
    this.#handles.set(processId, handle);
    handle.catch(() => this.#handles.delete(processId));
    return handle;
  }

  /** Follows a process no longer; it runs on. */
  unfollow(processId: string): void {
    this.#handles.get(processId)?.then(
      (handle) => handle.detach(),
      () => {},
    );
    this.#handles.delete(processId);
  }

  /** Starts a process and follows it. */
  async start(options: Parameters<Client["process"]["start"]>[0]): Promise<ProcessHandle> {
    if (this.client === undefined) throw new Error("the session is not connected yet");
    const handle = await this.client.process.start(options);
    this.#handles.set(handle.id, Promise.resolve(handle));
    await this.refresh();
    return handle;
  }

  /** Looks at everything now. One look at a time; who comes meanwhile gets one that begins afterwards. */
  async refresh(): Promise<void> {
    await this.#asking;
    this.#asking ??= this.#look().finally(() => {
      this.#asking = undefined;
    });
    await this.#asking;
  }

  #wanted(): Pick<ConnectOptions, "observe" | "sessionId" | "takeover"> {
    if (this.id === undefined) return {};
    if (this.isWatched) return { observe: this.id };
    // An earlier page of this tab may not have been noticed to be gone.
    return { sessionId: this.id, takeover: true };
  }

  async #look(): Promise<void> {
    const { client } = this;
    if (client === undefined || this.state.status !== "connected") {
      this.#sample(undefined, this.processes);
      return;
    }
    try {
      const began = performance.now();
      await client.ping({ signal: this.#over.signal });
      const latencyMs = performance.now() - began;
      this.processes = await client.process.list({ signal: this.#over.signal });
      this.#sample(latencyMs, this.processes);
    } catch {
      // Whatever ended the connection is told by its state.
    }
  }

  #sample(latencyMs: number | undefined, processes: readonly ProcessSummary[]): void {
    const atMs = Date.now();
    const bytes = new Map(processes.map(({ processId, outputBytes }) => [processId, outputBytes]));
    const last = this.#lastTotal;
    let grown = 0;
    for (const [processId, count] of bytes) grown += Math.max(0, count - (last?.bytes.get(processId) ?? 0));
    const seconds = last === undefined ? 0 : (atMs - last.atMs) / 1000;
    // Looks that follow upon each other are one second's.
    if (last !== undefined && seconds < 0.5) {
      this.#changed();
      return;
    }
    this.samples.push({ atMs, latencyMs, bytesPerSecond: last === undefined ? 0 : grown / seconds });
    this.samples.splice(0, this.samples.length - MAX_SAMPLES);
    this.#lastTotal = { atMs, bytes };
    this.#changed();
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    if (this.#over.signal.aborted) return;
    this.#timer = setTimeout(async () => {
      if (document.visibilityState === "visible") await this.refresh();
      this.#schedule();
    }, SAMPLE_EVERY_MS);
  }

  #set(state: SessionState): void {
    this.state = state;
    this.#changed();
  }

  #changed(): void {
    this.dispatchEvent(new Event("change"));
  }
}

function asExecError(error: unknown): ExecError {
  if (isExecError(error)) return error;
  throw error;
}
