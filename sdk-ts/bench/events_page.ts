// The page of the row `events`: follows processes as a page would, and tells now and then how many events came. With `bare`
// it takes the same messages from a WebSocket and looks at none of them.

import { connect } from "codex-exec-server-sdk";

const TELL_EVERY_MS = 500;

const query = new URLSearchParams(location.search);
const server = query.get("server") ?? "";
const argv = JSON.parse(query.get("argv") ?? "[]") as string[];
const processes = Number(query.get("processes"));
let count = 0;

async function follow(): Promise<void> {
  await using client = await connect(server);
  const all = Array.from({ length: processes }, async () => {
    for await (const event of await client.process.start({ argv })) if (event.type === "output") count += 1;
  });
  await Promise.all(all);
  throw new Error("the processes ended");
}

function followBare(): Promise<void> {
  const socket = new WebSocket(server);
  socket.binaryType = "arraybuffer";
  const send = (message: object): void => socket.send(JSON.stringify(message));
  const capabilities = { binaryOutput: true };
  socket.addEventListener("open", () => {
    send({
      id: 0,
      method: "initialize",
      params: { clientName: "bench", resumeSessionId: null, capabilities },
    });
    send({ method: "initialized", params: {} });
    for (let id = 1; id <= processes; id++) {
      const params = {
        processId: crypto.randomUUID(),
        argv,
        cwd: "file:///",
        env: {},
        tty: false,
        pipeStdin: false,
      };
      send({ id, method: "process/start", params });
    }
  });
  socket.addEventListener("message", ({ data }) => {
    if (typeof data !== "string") count += 1;
  });
  return new Promise((_resolve, reject) => {
    socket.addEventListener("close", ({ code }) => reject(new Error(`the connection was closed (${code})`)));
  });
}

const tell = (path: string, body: string): Promise<unknown> => fetch(path, { method: "POST", body });
setInterval(() => void tell("/count", String(count)), TELL_EVERY_MS);
(query.has("bare") ? followBare() : follow()).catch((error: unknown) => tell("/failed", String(error)));
