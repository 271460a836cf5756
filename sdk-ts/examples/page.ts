// The page of page.html. Remembers its session and process, so that a reload finds everything that was said meanwhile.

import { type Client, connect, isExecError, type ProcessHandle } from "codex-exec-server-sdk";

/** What has to outlive a reload. */
interface Remembered {
  readonly url: string;
  readonly sessionId: string;
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

function open(url: string, sessionId?: string): Promise<Client> {
  return connect(url, {
    onState: ({ status }) => {
      state.value = status;
    },
    ...(sessionId !== undefined && { sessionId, takeover: true }),
  });
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
  const { url, sessionId, processId } = JSON.parse(text) as Remembered;
  field("url").value = url;
  const client = await open(url, sessionId);
  await show(await client.process.attach(processId));
}

async function run(): Promise<void> {
  const url = field("url").value;
  const client = await open(url);
  const process = await client.process.start({ argv: ["sh", "-c", field("command").value] });
  const remembered: Remembered = { url, sessionId: client.sessionId, processId: process.id };
  sessionStorage.setItem(KEY, JSON.stringify(remembered));
  await show(process);
}

function tell(error: unknown): void {
  outcome.value = isExecError(error) ? `${error.kind}: ${error.message}` : String(error);
}

field("url").value ||= new URLSearchParams(location.search).get("server") ?? "ws://127.0.0.1:8765";
form.addEventListener("submit", (event) => {
  event.preventDefault();
  run().catch(tell);
});
resume().catch(tell);
