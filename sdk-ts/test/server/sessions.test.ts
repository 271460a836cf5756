// A session outlives its client: it is kept where the next page looks for it, found again, and taken back.

import { afterEach, beforeEach, expect, test } from "vitest";
import { type Client, type ConnectionState, connect, type SessionStore, storedIn } from "../../src/index.js";
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

test("a session and a store for it can't both be asked for", async () => {
  const both = connect(server.url, { store, sessionId: "x" });
  await expect(both).rejects.toMatchObject({
    kind: "invalidArgument",
    hint: expect.stringContaining("store"),
  });
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
