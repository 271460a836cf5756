// Connecting, and the client: one session with a server, over as many connections as it takes.

import { dialWebSocket } from "#websocket";
import { type ClientConfig, DEFAULT_CONFIG } from "./config.js";
import { ExecError } from "./errors.js";
import { FileSystemClient } from "./fs.js";
import type { CapabilityFlag } from "./generated/constants.js";
import type { EnvironmentCapabilities, EnvironmentInfo, ServerLimits } from "./generated/types.js";
import { HttpClient } from "./http.js";
import { Paths } from "./paths.js";
import type { CallSignal } from "./process.js";
import { ProcessClient } from "./process_client.js";
import type { Wanted } from "./rpc/peer.js";
import { type ConnectionState, Session } from "./rpc/session.js";
import { type SessionStore, SessionsClient, throughStore } from "./sessions.js";
import type { Dial } from "./transport/transport.js";
import type { WebSocketConstructor } from "./transport/websocket-global.js";

/** How to connect. All of it may be left out. */
export interface ConnectOptions extends Partial<ClientConfig> {
  /**
   * The server's bearer token. Browsers, whose WebSocket takes no headers, show it as a subprotocol, which servers older than
   * that refuse.
   */
  readonly token?: string;
  /** Gives up connecting. Once connected it has no meaning: use {@link Client.close}. */
  readonly signal?: AbortSignal | undefined;
  /** Told of every change of the connection, beginning with the first loss. */
  readonly onState?: (state: ConnectionState) => void;
  /** Resume this session instead of opening a new one: {@link Client.sessionId} of an earlier client. */
  readonly sessionId?: string;
  /**
   * Resume the session that is kept here, or open a new one where there is none any more, and keep it here. It is taken over
   * where the server can do that: the earlier page's connection may not have been noticed to be gone. Not with `sessionId`.
   */
  readonly store?: SessionStore;
  /**
   * Watch this session, whoever holds it, and change nothing: processes are listed and followed, everything else is
   * `readOnly`. It neither keeps the session nor ends it. Alone, without the others. Flag `observers`.
   */
  readonly observe?: string;
  /** With `sessionId`: take it from the connection that holds it. Flag `sessionTakeover`. */
  readonly takeover?: boolean;
  /** A WebSocket to use in place of the platform's. */
  readonly WebSocket?: WebSocketConstructor;
}

/** Who is at the other end. */
export interface ServerInfo extends EnvironmentInfo {
  /** What it can do; an absent flag means no. */
  readonly capabilities: EnvironmentCapabilities;
  /** Bounds that a client may run into. Flag `serverLimits`. */
  readonly limits: ServerLimits | undefined;
  /** How long it keeps the session while no connection holds it. Flag `sessionLifetime`. */
  readonly detachedLifetimeMs: number | undefined;
}

/**
 * A session with a server. It outlives connections: when one breaks, another is made, what was missed is read, and calls
 * wait meanwhile. Disposing it closes the connection; the server keeps the session, and its processes, for a while.
 */
export class Client implements AsyncDisposable {
  readonly #session: Session;
  /** Processes. */
  readonly process: ProcessClient;
  /** Files. */
  readonly fs: FileSystemClient;
  /** HTTP requests that leave from the server's machine. */
  readonly http: HttpClient;
  /** The session itself: its token, taking it over. */
  readonly sessions: SessionsClient;

  /** @internal */
  constructor(session: Session) {
    const paths = new Paths(session);
    this.#session = session;
    this.process = new ProcessClient(session, paths);
    this.fs = new FileSystemClient(session, paths);
    this.http = new HttpClient(session);
    this.sessions = new SessionsClient(session, async (wanted, { signal, onState = () => {} }) => {
      return new Client(await session.again(wanted, signal, onState));
    });
  }

  /** How it is connected right now. */
  get state(): ConnectionState {
    return this.#session.state;
  }

  /** Who is at the other end. */
  get server(): ServerInfo {
    const { environment, limits, detachedLifetimeMs } = this.#session.peer;
    return { ...environment, capabilities: environment.capabilities ?? {}, limits, detachedLifetimeMs };
  }

  /** The session, to be resumed with {@link ConnectOptions.sessionId}. Whoever knows it may do that: treat it as a secret. */
  get sessionId(): string {
    return this.#session.peer.sessionId;
  }

  /** Whether the server has a feature. */
  supports(flag: CapabilityFlag): boolean {
    return this.#session.supports(flag);
  }

  /** Asks the server whether it is there; resolves when it answered. */
  async ping({ signal }: CallSignal = {}): Promise<void> {
    await this.#session.call("environment/status", null, { repeat: "always", signal });
  }

  /** Closes the connection. Calls that wait reject with `closed`; processes run on until the session's time is over. */
  close(): Promise<void> {
    return this.#session.close();
  }

  /** As {@link Client.close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * Connects to a server.
 *
 * ```ts
 * await using client = await connect("ws://127.0.0.1:8765", { token });
 * const { stdoutText } = await client.process.run({ argv: ["uname", "-a"] });
 * ```
 *
 * One attempt; what comes of it is told at once, by an {@link ExecError}. Once there is a session, a connection that breaks
 * is replaced without a word but to `onState`.
 */
export async function connect(url: string | URL, options: ConnectOptions = {}): Promise<Client> {
  const target = { url: parseUrl(url), token: parseToken(options.token), WebSocket: options.WebSocket };
  return connectWith(dialWebSocket(target), options);
}

/** As {@link connect}, over a transport of your own. */
export async function connectWith(dial: Dial, options: ConnectOptions = {}): Promise<Client> {
  const { signal, onState = () => {}, sessionId, takeover = false, store, observe } = options;
  const given = Object.fromEntries(
    Object.keys(DEFAULT_CONFIG)
      .map((name) => [name, options[name as keyof ClientConfig]])
      .filter(([, value]) => value !== undefined),
  ) as Partial<ClientConfig>;
  const config = { ...DEFAULT_CONFIG, ...given };
  if ([sessionId, store, observe].filter((session) => session !== undefined).length > 1) {
    throw new ExecError("invalidArgument", "more than one of sessionId, store and observe was passed", {
      hint: "pass the store alone: it knows the session; or the one that is to be watched",
    });
  }
  const open = async (wanted: Wanted): Promise<Client> =>
    new Client(await Session.open(dial, config, wanted, signal, onState));
  if (observe !== undefined) return open({ type: "observed", sessionId: observe });
  const resume = (sessionId: string | undefined, takeover: boolean): Promise<Client> =>
    open(sessionId === undefined ? { type: "new" } : { type: "existing", sessionId, takeover });
  if (store === undefined) return resume(sessionId, takeover);
  signal?.throwIfAborted();
  return throughStore(store, (known) => resume(known, true));
}

function parseUrl(url: string | URL): URL {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch (cause) {
    throw new ExecError("invalidUrl", `${JSON.stringify(String(url))} is no URL`, {
      hint: "pass something like ws://127.0.0.1:8765",
      cause,
    });
  }
  if (parsed.protocol !== "ws:" && parsed.protocol !== "wss:") {
    throw new ExecError("invalidUrl", `${parsed.protocol}// is not how a server is reached`, {
      hint: "pass a ws:// or wss:// URL",
    });
  }
  // A fragment is not sent, and makes browsers refuse.
  parsed.hash = "";
  return parsed;
}

function parseToken(token: string | undefined): string | undefined {
  // What can't stand in a header is refused here, since what comes of it elsewhere is hard to understand.
  if (token === undefined || /^[\x21-\x7e]+$/.test(token)) return token;
  throw new ExecError(
    "invalidArgument",
    "the token holds blanks, line ends or other than ASCII, or is empty",
    {
      hint: "trim what was read from a file",
    },
  );
}
