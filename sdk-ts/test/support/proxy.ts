// A TCP proxy that does to connections what networks do.

import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/** Between a client and a server; see its methods. */
export class FaultyProxy implements AsyncDisposable {
  readonly #listener: Server;
  readonly #pairs = new Set<Pair>();
  /** Bytes towards the client after which its connection breaks in the middle; each connection takes one. */
  readonly #budgets: number[] = [];
  #connections = 0;
  #cuts = 0;
  #bytes = 0;

  private constructor(port: number) {
    this.#listener = createServer({ allowHalfOpen: true }, (client) => {
      this.#connections += 1;
      const server = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
      this.#join({ client, server }, this.#budgets.shift() ?? Number.POSITIVE_INFINITY);
    });
  }

  /** A proxy before a server's port. */
  static async start(port: number): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(port);
    await new Promise<void>((resolve) => proxy.#listener.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#listener.address() as AddressInfo).port}`;
  }

  /** Connections that ever came. */
  get connections(): number {
    return this.#connections;
  }

  /** Connections that were cut. */
  get cuts(): number {
    return this.#cuts;
  }

  /** Bytes that came from the server over all connections. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The next connections break after so many bytes towards the client. */
  breakAfter(...bytes: readonly number[]): void {
    this.#budgets.push(...bytes);
  }

  /** Cuts every connection now. */
  cut(): void {
    for (const pair of [...this.#pairs]) this.#cut(pair);
  }

  /** Ends the server's direction only, as a machine does that half shuts down. */
  halfClose(): void {
    for (const { client } of this.#pairs) client.end();
  }

  /** Stops carrying anything, without closing anything, until {@link FaultyProxy.thaw}. */
  freeze(): void {
    for (const { client, server } of this.#pairs) for (const socket of [client, server]) socket.pause();
  }

  thaw(): void {
    for (const { client, server } of this.#pairs) for (const socket of [client, server]) socket.resume();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#listener.close(resolve));
    this.cut();
    await closed;
  }

  #cut(pair: Pair): void {
    this.#pairs.delete(pair);
    this.#cuts += 1;
    pair.client.destroy();
    pair.server.destroy();
  }

  #join(pair: Pair, budget: number): void {
    const { client, server } = pair;
    this.#pairs.add(pair);
    let left = budget;
    const flow = (from: Socket, to: Socket, limited: boolean): void => {
      from.setNoDelay(true);
      from.on("data", (bytes) => {
        if (!this.#pairs.has(pair)) return;
        const passed = limited ? bytes.subarray(0, left) : bytes;
        if (limited) {
          left -= passed.length;
          this.#bytes += passed.length;
        }
        if (!to.write(passed)) {
          from.pause();
          to.once("drain", () => from.resume());
        }
        // What was written before leaves before the end is noticed.
        if (limited && left <= 0) this.#cut(pair);
      });
      from.on("end", () => to.end());
      from.on("error", () => {});
      from.on("close", () => {
        this.#pairs.delete(pair);
        to.destroy();
      });
    };
    flow(server, client, true);
    flow(client, server, false);
  }
}
