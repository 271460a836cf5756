// The page of page.html. Remembers its session and process, so that a reload finds everything that was said meanwhile.

import { type Client, connect, isExecError, type ProcessHandle, storedIn } from "codex-exec-server-sdk";

/** What has to outlive a reload, besides the session. */
interface Remembered {
  readonly url: string;
  readonly processId: string;
}

const KEY = "codex-exec-server-example";
const form = document.querySelector("form") as HTMLFormElement;
const screen = document.querySelector("pre") as HTMLPreElement;
/** How the connection is, and what came of the process: a process may end while its connection is being replaced. */
const state = form.elements.namedItem("state") as HTMLOutputElement;
const outcome = form.elements.namedItem("outcome") as HTMLOutputElement;

function field(name: string): HTMLInputElement {
  return form.elements.namedItem(name) as HTMLInputElement;
}

let client: Client | undefined;

/** One session for the whole page: what ran before goes on in it, and is no longer shown. */
async function open(url: string): Promise<Client> {
  await client?.close();
  client = await connect(url, {
    store: storedIn(sessionStorage),
    onState: ({ status }) => {
      state.value = status;
    },
  });
  return client;
}

async function show(process: ProcessHandle): Promise<void> {
  screen.textContent = "";
  outcome.value = "";
  const decoder = new TextDecoder();
  for await (const event of process) {
    if (event.type === "output") screen.append(decoder.decode(event.bytes, { stream: true }));
    else if (event.type === "gap") screen.append(`\n[${event.bytes ?? "some"} bytes are gone]\n`);
    else if (event.type === "exited") outcome.value = `exit code ${event.exitCode}`;
    else outcome.value += `, complete by ${event.proof}`;
  }
}

async function resume(): Promise<void> {
  const text = sessionStorage.getItem(KEY);
  if (text === null) return;
  const { url, processId } = JSON.parse(text) as Remembered;
  field("url").value = url;
  const client = await open(url);
  await show(await client.process.attach(processId));
}

async function run(): Promise<void> {
  const url = field("url").value;
  const client = await open(url);
  const process = await client.process.start({ argv: ["sh", "-c", field("command").value] });
  const remembered: Remembered = { url, processId: process.id };
  sessionStorage.setItem(KEY, JSON.stringify(remembered));
  await show(process);
}

function tell(error: unknown): void {
  if (isExecError(error, "closed")) return;
  outcome.value = isExecError(error) ? `${error.kind}: ${error.message}` : String(error);
}

field("url").value ||= new URLSearchParams(location.search).get("server") ?? "ws://127.0.0.1:8765";
form.addEventListener("submit", (event) => {
  event.preventDefault();
  run().catch(tell);
});
resume().catch(tell);
