// A session outlives its client: it is kept where the next page looks for it, found again, and taken back.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type Client,
  type ConnectionState,
  connect,
  isExecError,
  type SessionStore,
  storedIn,
} from "../../src/index.js";
import { FaultyProxy } from "../support/proxy.js";
import { TestServer } from "../support/server.js";

/** A page's storage. */
class FakeStorage {
  readonly kept = new Map<string, string>();

  getItem(key: string): string | null {
    return this.kept.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    this.kept.set(key, value);
  }
}

let server: TestServer;
let storage: FakeStorage;
let store: SessionStore;

beforeEach(async () => {
  server = await TestServer.start();
  storage = new FakeStorage();
  store = storedIn(storage);
});

afterEach(async () => {
  await server?.[Symbol.asyncDispose]();
});

async function lost(states: readonly ConnectionState[], client: Client): Promise<void> {
  await expect(client.ping()).rejects.toMatchObject({ kind: "takenOver" });
  expect(states.at(-1)).toMatchObject({ status: "failed", error: { kind: "takenOver" } });
}

test("the first page opens a session, and the next one finds it with what runs in it", async () => {
  const first = await connect(server.url, { store });
  expect(first.sessions.wasResumed).toBe(false);
  expect([...storage.kept.values()]).toEqual([first.sessions.token]);
  const process = await first.process.start({ argv: ["sh", "-c", "echo one; cat"], stdin: "pipe" });
  // Not even its connection is closed: the page is gone all of a sudden.
  await using second = await connect(server.url, { store });
  expect(second.sessions.wasResumed).toBe(true);
  expect(second.sessions.token).toBe(first.sessions.token);
  await using found = await second.process.attach(process.id);
  const output = found.output();
  await found.write("two\n");
  await found.closeStdin();
  expect((await output).stdoutText).toBe("one\ntwo\n");
  await first.close();
});

test("where the server no longer has the session, a new one takes its place in the store", async () => {
  for (const gone of ["00000000-0000-4000-8000-000000000000", "nonsense", ""]) {
    storage.kept.set("codex-exec-server-session", gone);
    await using client = await connect(server.url, { store });
    expect(client.sessions.wasResumed).toBe(false);
    expect([...storage.kept.values()]).toEqual([client.sessions.token]);
  }
});

test("what keeps the page from connecting forgets nothing", async () => {
  storage.kept.set("codex-exec-server-session", "known");
  await expect(connect("ws://127.0.0.1:1", { store })).rejects.toMatchObject({ kind: "connectFailed" });
  const aborted = connect(server.url, { store, signal: AbortSignal.abort(new Error("left")) });
  await expect(aborted).rejects.toThrow("left");
  expect([...storage.kept.values()]).toEqual(["known"]);
});

test("a store that fails fails the connection with its own words, and leaves none behind", async () => {
  const states: ConnectionState[] = [];
  const broken: SessionStore = {
    load: () => undefined,
    save: () => {
      throw new Error("no room");
    },
  };
  const connecting = connect(server.url, { store: broken, onState: (state) => states.push(state) });
  await expect(connecting).rejects.toThrow("no room");
  expect(states).toMatchObject([{ status: "failed", error: { kind: "closed" } }]);
});

test("only one of a session, a store for it and one to watch can be asked for", async () => {
  for (const two of [
    { store, sessionId: "x" },
    { store, observe: "x" },
    { sessionId: "x", observe: "y" },
  ]) {
    await expect(connect(server.url, two)).rejects.toMatchObject({ kind: "invalidArgument" });
  }
});

test("a session moves between two clients, as often as either wants it", async () => {
  const states: ConnectionState[] = [];
  const onState = (state: ConnectionState): void => void states.push(state);
  const first = await connect(server.url, { onState });
  const second = await connect(server.url, { sessionId: first.sessions.token, takeover: true, onState });
  await lost(states, first);
  await using third = await first.sessions.takeOver({ onState });
  await lost(states, second);
  expect(third.sessions.token).toBe(first.sessions.token);
  expect(third.sessions.wasResumed).toBe(true);
  await third.ping();
});

test("taking over may be given up", async () => {
  await using client = await connect(server.url);
  const reason = new Error("never mind");
  await expect(client.sessions.takeOver({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  await client.ping();
});

describe("an observer", () => {
  let holder: Client;

  beforeEach(async ({ skip }) => {
    holder = await connect(server.url, { detachedLifetimeMs: 0 });
    skip(!holder.supports("observers"), "the server has no observers");
  });

  afterEach(async () => {
    await holder?.close();
  });

  test("sees what runs and what comes, over a connection that is cut, and takes the session from nobody", async () => {
    await using proxy = await FaultyProxy.start(server.port);
    const script = "echo one; read x; echo two; read x; echo three";
    const watched = await holder.process.start({ argv: ["sh", "-c", script], stdin: "pipe" });
    await using observer = await connect(proxy.url, { observe: holder.sessions.token, recoveryPauseMs: 5 });
    expect([holder.sessions.isObserver, observer.sessions.isObserver]).toEqual([false, true]);
    expect((await observer.process.list()).map(({ processId }) => processId)).toEqual([watched.id]);
    const seen = await observer.process.attach(watched.id);
    const lines = seen.lines();
    expect((await lines.next()).value).toBe("one");
    await watched.write("\n");
    expect((await lines.next()).value).toBe("two");
    proxy.cut();
    await watched.write("\n");
    expect((await lines.next()).value).toBe("three");
    expect((await lines.next()).done).toBe(true);
    expect((await seen.exited).exitCode).toBe(0);
    const later = await holder.process.start({ argv: ["sh", "-c", "echo later"] });
    await later.exited;
    expect((await (await observer.process.attach(later.id)).output()).stdoutText).toBe("later\n");
    await holder.ping();
  });

  test("changes nothing, and is told so", async () => {
    const running = await holder.process.start({ argv: ["cat"], stdin: "pipe" });
    await using observer = await holder.sessions.observe();
    const seen = await observer.process.attach(running.id);
    for (const change of [
      () => observer.process.start({ argv: ["true"] }),
      () => seen.write("x"),
      () => seen.terminate(),
      () => observer.fs.remove("/nowhere"),
      () => observer.http.fetch("http://127.0.0.1:1/"),
    ]) {
      await expect(change()).rejects.toMatchObject({ kind: "readOnly" });
    }
    expect((await observer.fs.readFile("/etc/hostname")).length).toBeGreaterThan(0);
    // Letting go of the handle, which ends a process otherwise, does not.
    await seen[Symbol.asyncDispose]();
    await running.closeStdin();
    expect((await running.exited).exitCode).toBe(0);
  });

  test("is one of as many as the server says, and the next is refused until one goes", async () => {
    const most = holder.server.limits?.observersPerSession;
    expect(most).toBe(64);
    const observers = await Promise.all(Array.from({ length: 64 }, () => holder.sessions.observe()));
    const refused = holder.sessions.observe();
    await expect(refused).rejects.toMatchObject({ kind: "refused" });
    await expect(refused).rejects.toThrow(/64 observers.*when somebody has left/);
    await observers.pop()?.close();
    const again = async (): Promise<Client> => {
      for (;;) {
        // The server notices by and by that one has gone.
        const next = await holder.sessions.observe().catch((error: unknown) => error);
        if (!isExecError(next, "refused")) return next as Client;
      }
    };
    observers.push(await again());
    await Promise.all(observers.map((observer) => observer.close()));
    await holder.ping();
  });

  test("ends with the session, which tells it apart from a cut", async () => {
    let tell: (state: ConnectionState) => void = () => {};
    const failed = new Promise<ConnectionState>((resolve) => {
      tell = resolve;
    });
    await holder.sessions.observe({ onState: (state) => state.status === "failed" && tell(state) });
    await holder.close();
    expect(await failed).toMatchObject({ error: { kind: "sessionLost" } });
    await expect(connect(server.url, { observe: holder.sessions.token })).rejects.toMatchObject({
      kind: "sessionLost",
    });
  });
});
