// HTTP requests that leave from the server's machine, in the shape of `fetch`.

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Client, connect, isExecError } from "../../src/index.js";
import { FaultyProxy } from "../support/proxy.js";
import { TestServer } from "../support/server.js";

let server: TestServer;
let proxy: FaultyProxy;
let client: Client;
let site: Server;
let url: string;
let answer: (request: IncomingMessage, response: ServerResponse) => void;

beforeEach(async ({ skip }) => {
  server = await TestServer.start();
  proxy = await FaultyProxy.start(server.port);
  client = await connect(proxy.url, { recoveryPauseMs: 5 });
  site = createServer((request, response) => answer(request, response));
  site.listen(0, "127.0.0.1");
  await once(site, "listening");
  url = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
  answer = (_request, response) => response.end();
  const isMissing = await client.http.fetch(url).then(
    () => false,
    (error: unknown) => isExecError(error, "unsupported"),
  );
  skip(isMissing, "the server has no http/request");
});

afterEach(async () => {
  await client?.close();
  await proxy?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
  site?.closeAllConnections();
  site?.close();
});

test("method, headers, body and status go and come", async () => {
  let seen: object = {};
  answer = async (request, response) => {
    seen = {
      method: request.method,
      url: request.url,
      type: request.headers["x-type"],
      body: await text(request),
    };
    response.writeHead(418, { "x-answer": "yes" }).end("short and stout");
  };
  const headers = { "x-type": "tea" };
  const response = await client.http.fetch(`${url}/pot?x=1`, { method: "POST", headers, body: "leaves" });
  expect(seen).toEqual({ method: "POST", url: "/pot?x=1", type: "tea", body: "leaves" });
  expect([response.status, response.headers.get("x-answer"), await response.text()]).toEqual([
    418,
    "yes",
    "short and stout",
  ]);
});

test("a Request, a form and JSON are sent as fetch would", async () => {
  const bodies: Array<readonly [string | undefined, string]> = [];
  answer = async (request, response) => {
    bodies.push([request.headers["content-type"], await text(request)]);
    response.end();
  };
  await client.http.fetch(
    new Request(url, { method: "POST", body: '{"a":1}', headers: { "content-type": "application/json" } }),
  );
  await client.http.fetch(url, { method: "POST", body: new URLSearchParams({ a: "1 2" }) });
  expect(bodies).toEqual([
    ["application/json", '{"a":1}'],
    ["application/x-www-form-urlencoded;charset=UTF-8", "a=1+2"],
  ]);
});

test("a body streams while it is being written, however large it is", async () => {
  const megabyte = Buffer.alloc(1 << 20, "x");
  let goOn: () => void = () => {};
  answer = async (_request, response) => {
    response.write("first");
    await new Promise<void>((resolve) => {
      goOn = resolve;
    });
    for (let n = 0; n < 8; n++) response.write(megabyte);
    response.end();
  };
  const { body } = await client.http.fetch(url);
  const reader = body!.getReader();
  expect(new TextDecoder().decode((await reader.read()).value)).toBe("first");
  goOn();
  let bytes = 0;
  for (let read = await reader.read(); !read.done; read = await reader.read()) bytes += read.value.length;
  expect(bytes).toBe(8 << 20);
});

test("a redirect is followed, returned or refused, as fetch does", async () => {
  answer = (request, response) => {
    if (request.url === "/to") response.end("there");
    else response.writeHead(302, { location: "/to" }).end();
  };
  expect(await (await client.http.fetch(url)).text()).toBe("there");
  expect((await client.http.fetch(url, { redirect: "manual" })).status).toBe(302);
  await expect(client.http.fetch(url, { redirect: "error" })).rejects.toMatchObject({ kind: "refused" });
});

test("a body that the connection is lost under errors, and so does a host that is not there", async () => {
  answer = (_request, response) => void response.write("begun");
  const response = await client.http.fetch(url);
  const reader = response.body!.getReader();
  await reader.read();
  proxy.cut();
  await expect(reader.read()).rejects.toMatchObject({ kind: "bodyLost" });
  await expect(client.http.fetch("http://127.0.0.1:1/")).rejects.toMatchObject({ name: "ExecError" });
});

test("an abort rejects the wait for the answer, and then that for the body", async () => {
  const stop = new AbortController();
  answer = () => queueMicrotask(() => stop.abort("early"));
  await expect(client.http.fetch(url, { signal: stop.signal })).rejects.toBe("early");
  const late = new AbortController();
  answer = (_request, response) => void response.write("begun");
  const response = await client.http.fetch(url, { signal: late.signal });
  const reader = response.body!.getReader();
  await reader.read();
  const next = reader.read();
  late.abort("late");
  await expect(next).rejects.toBe("late");
});
