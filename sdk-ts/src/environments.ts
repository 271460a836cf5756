// Servers by name, each connected when it is first used.

import type { Client, ConnectOptions } from "./client.js";
import { connect } from "./client.js";
import { ExecError } from "./errors.js";
import type { CallSignal } from "./process.js";
import { abortable } from "./rpc/timers.js";

/** How one server is reached: by its address, or by whatever makes a client. */
export type EnvironmentSource =
  | (Omit<ConnectOptions, "signal"> & { readonly url: string | URL })
  | (() => Promise<Client>);

interface Place {
  readonly source: EnvironmentSource;
  /** The attempt under way, or the client that it brought. */
  client: Promise<Client> | undefined;
}

/**
 * Servers by name.
 *
 * ```ts
 * await using environments = new Environments({
 *   build: { url: "wss://buildbox.example/exec", token },
 *   here: () => connectLocal(),
 * });
 * const build = await environments.get("build");
 * ```
 *
 * Callers who come while a connection is being made share the attempt, and callers who go don't end it. One that failed, and
 * a client that has failed for good or was closed, is made anew by the next call.
 */
export class Environments implements AsyncDisposable {
  readonly #places: ReadonlyMap<string, Place>;
  #isClosed = false;

  constructor(sources: Readonly<Record<string, EnvironmentSource>>) {
    this.#places = new Map(
      Object.entries(sources).map(([name, source]) => [name, { source, client: undefined }]),
    );
  }

  /** The names, in the order in which they were given. */
  get names(): readonly string[] {
    return [...this.#places.keys()];
  }

  /** The client of a server, connecting it if need be. Aborting gives up this wait alone. */
  get(name: string, { signal }: CallSignal = {}): Promise<Client> {
    return abortable(this.#client(name), signal);
  }

  /** Closes every client, and waits for those that are on their way to be closed, too. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(
      [...this.#places.values()].map(async (place) => {
        const client = await place.client?.catch(() => undefined);
        await client?.close();
      }),
    );
  }

  /** As {@link Environments.close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #client(name: string): Promise<Client> {
    const place = this.#places.get(name);
    if (place === undefined) {
      const known = this.names.length === 0 ? "there are none" : `there are ${this.names.join(", ")}`;
      throw new ExecError("invalidArgument", `no environment ${name}`, { hint: known });
    }
    for (;;) {
      if (this.#isClosed) throw new ExecError("closed", "environments are closed");
      place.client ??= open(place);
      const attempt = place.client;
      const client = await attempt;
      if (client.state.status !== "failed") return client;
      // Others may have noticed first.
      if (place.client === attempt) place.client = undefined;
    }
  }
}

function open(place: Place): Promise<Client> {
  const { source } = place;
  const attempt = typeof source === "function" ? source() : connect(source.url, source);
  attempt.catch(() => {
    if (place.client === attempt) place.client = undefined;
  });
  return attempt;
}
