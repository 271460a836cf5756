// How the session that is looked at and the process that is shown are drawn around the views: the words at the top of the
// page, the bar of the terminal, and what can be pressed.

import { byId, setText } from "./dom.js";
import { bytes, commandLine, latency } from "./format.js";
import type { SessionModel } from "./session.js";
import { describeSession, describeState } from "./sidebar.js";
import type { TerminalView } from "./terminal.js";

/** `draw`, called once the browser draws next, however often it was asked for meanwhile. */
export function oncePerFrame(draw: () => void): () => void {
  let isDrawing = false;
  return () => {
    if (isDrawing) return;
    isDrawing = true;
    requestAnimationFrame(() => {
      isDrawing = false;
      draw();
    });
  };
}

/** Draws how a session is, on which machine, and what may be done in it. */
export function drawSession(session: SessionModel): void {
  const { mark, words } = describeSession(session);
  const last = session.samples.at(-1)?.latencyMs;
  const far = session.state.status === "connected" && last !== undefined ? ` · ${latency(last)}` : "";
  const chip = byId("connection");
  chip.hidden = false;
  chip.dataset["mark"] = mark;
  setText(byId("connection-words"), words);
  setText(byId("connection-latency"), far);
  const { client } = session;
  if (client !== undefined) {
    const { platformOs, executorVersion, shell } = client.server;
    setText(
      byId("machine"),
      [location.host, platformOs, executorVersion, shell.name].filter(Boolean).join(" · "),
    );
  }
  const { isWatched } = session;
  byId("watching").hidden = !isWatched;
  byId("files-tab").hidden = isWatched;
  byId<HTMLFieldSetElement>("start-fields").disabled = isWatched;
  for (const id of ["empty-start", "empty-shell"]) byId<HTMLButtonElement>(id).disabled = isWatched;
}

/** Draws the bar of the terminal that is shown, or what stands there in place of one. */
export function drawTerminal(session: SessionModel, shown: TerminalView | undefined): void {
  byId("terminals").hidden = shown === undefined;
  byId("terminal-empty").hidden = shown !== undefined;
  byId("terminal-bar").hidden = shown === undefined;
  const summary = session.process(shown?.processId);
  if (shown === undefined || summary === undefined) return;
  const { mark, words } = describeState(summary);
  const { receivedBytes, lostBytes, proof } = shown.status;
  const isOver = summary.state === "closed";
  setText(byId("terminal-title"), commandLine(summary.argv));
  byId("terminal-title").title = commandLine(summary.argv);
  byId("terminal-state").dataset["mark"] = mark;
  setText(byId("terminal-state"), words);
  const missing = lostBytes > 0 ? `, ${bytes(lostBytes)} gone` : "";
  const complete = proof === undefined || proof === "gap" ? "" : `, complete by ${proof}`;
  setText(byId("terminal-facts"), `${bytes(receivedBytes)}${missing}${complete}`);
  const { isWatched } = session;
  byId("interrupt").hidden = isOver || isWatched;
  byId("stop").hidden = isOver || isWatched;
  byId("again").hidden = !isOver || isWatched;
}
