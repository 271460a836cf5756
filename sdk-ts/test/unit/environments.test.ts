// Servers by name: connected when they are first used, shared, and made anew when they are gone.

import { expect, test } from "vitest";
import { type Client, connect, Environments } from "../../src/index.js";
import { initialized, webSocketServer } from "../support/odd_server.js";

async function quietServer() {
  let connections = 0;
  const server = await webSocketServer((socket) => {
    connections += 1;
    initialized(socket, {}, () => {});
  });
  return { ...server, count: () => connections };
}

test("a server is connected once, when it is first used, for everybody", async () => {
  await using server = await quietServer();
  await using environments = new Environments({ a: { url: server.url }, b: () => connect(server.url) });
  expect(environments.names).toEqual(["a", "b"]);
  expect(server.count()).toBe(0);
  const [first, second] = await Promise.all([environments.get("a"), environments.get("a")]);
  expect(first).toBe(second);
  expect(await environments.get("b")).not.toBe(first);
  expect(server.count()).toBe(2);
});

test("an attempt that failed, and a client that was closed, are made anew", async () => {
  await using server = await quietServer();
  let isBroken = true;
  const source = (): Promise<Client> => (isBroken ? connect("ws://127.0.0.1:1") : connect(server.url));
  await using environments = new Environments({ a: source });
  await expect(environments.get("a")).rejects.toMatchObject({ kind: "connectFailed" });
  isBroken = false;
  const client = await environments.get("a");
  await client.close();
  expect(await environments.get("a")).not.toBe(client);
});

test("who gives up waiting does not end the attempt of others", async () => {
  await using server = await quietServer();
  await using environments = new Environments({ a: { url: server.url } });
  const stop = new AbortController();
  const waits = [environments.get("a", { signal: stop.signal }), environments.get("a")];
  stop.abort("enough");
  await expect(waits[0]).rejects.toBe("enough");
  expect((await waits[1])?.state.status).toBe("connected");
});

test("a name that nobody knows is told with those that there are, and closing ends all", async () => {
  await using server = await quietServer();
  const environments = new Environments({ a: { url: server.url } });
  await expect(environments.get("b")).rejects.toThrow(/no environment b; there are a/);
  const client = await environments.get("a");
  await environments.close();
  expect(client.state.status).toBe("failed");
  await expect(environments.get("a")).rejects.toMatchObject({ kind: "closed" });
});
