// `client.sessions`: the session as something that outlives its client, to be found again by a later page or program, taken
// back from another one, and kept where that one will look for it.

import type { Client } from "./client.js";
import { isExecError } from "./errors.js";
import type { CallSignal } from "./process.js";
import type { Wanted } from "./rpc/peer.js";
import type { ConnectionState, Session } from "./rpc/session.js";

/**
 * Where a session's token is kept between two pages, or two starts of a program. Whoever reads the token may resume the
 * session: keep it where you would keep a password.
 */
export interface SessionStore {
  /** The token that was saved last; nothing where there is none. */
  load(): string | null | undefined | PromiseLike<string | null | undefined>;
  /** Keeps a token in place of the last one. */
  save(token: string): unknown;
}

/**
 * Keeps the token in a page's storage. `sessionStorage` ends with its tab, and another tab gets a session of its own;
 * what is in `localStorage` all tabs share, and the last one that loads takes the session over.
 */
export function storedIn(
  storage: Pick<Storage, "getItem" | "setItem">,
  key = "codex-exec-server-session",
): SessionStore {
  return {
    load: () => storage.getItem(key),
    save: (token) => storage.setItem(key, token),
  };
}

/** How to open the session once more. */
export interface ReopenOptions extends CallSignal {
  /** As in `connect`. */
  readonly onState?: (state: ConnectionState) => void;
}

type Reopen = (wanted: Wanted, options: ReopenOptions) => Promise<Client>;

/** See the head of the file. */
export class SessionsClient {
  readonly #session: Session;
  readonly #reopen: Reopen;

  /** @internal */
  constructor(session: Session, reopen: Reopen) {
    this.#session = session;
    this.#reopen = reopen;
  }

  /** What finds this session again: pass it to `connect` as `sessionId`, or let a {@link SessionStore} keep it. A secret. */
  get token(): string {
    return this.#session.peer.sessionId;
  }

  /** Whether the session was there before this client: then `client.process.list()` tells what is in it. */
  get wasResumed(): boolean {
    return this.#session.wasResumed;
  }

  /**
   * Another client of this session, which takes it over from whoever holds it: after `takenOver` the way back. This client
   * ends thereby, if it has not yet. Flag `sessionTakeover`.
   */
  async takeOver(options: ReopenOptions = {}): Promise<Client> {
    this.#session.demand("sessionTakeover");
    return this.#reopen({ type: "existing", sessionId: this.token, takeover: true }, options);
  }

  /** Whether this client only watches: then what would change anything is refused as `readOnly`. */
  get isObserver(): boolean {
    return this.#session.peer.isObserver;
  }

  /**
   * Another client that only watches this session, at a pace of its own: nobody waits for it. It sees processes that are
   * running and those to come, and ends with `sessionLost` when the session does. Flag `observers`.
   */
  async observe(options: ReopenOptions = {}): Promise<Client> {
    this.#session.demand("observers");
    return this.#reopen({ type: "observed", sessionId: this.token }, options);
  }
}

/** Resumes the session that `store` knows of, or opens a new one where the server no longer has it; keeps what comes of it. */
export async function throughStore(
  store: SessionStore,
  open: (sessionId: string | undefined) => Promise<Client>,
): Promise<Client> {
  const known = (await store.load()) || undefined;
  const client = await open(known).catch((error: unknown) => {
    if (known === undefined || !isExecError(error, "sessionLost")) throw error;
    return open(undefined);
  });
  try {
    if (client.sessions.token !== known) await store.save(client.sessions.token);
  } catch (error) {
    await client.close();
    throw error;
  }
  return client;
}
