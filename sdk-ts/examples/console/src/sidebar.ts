// The list of sessions, and of the processes in the one that is chosen.

import type { ProcessSummary } from "codex-exec-server-sdk";
import { arrange, button, byId, el, roving, setText } from "./dom.js";
import { age, bytes, commandLine } from "./format.js";
import type { SessionModel } from "./session.js";

/** What the list is asked to do. */
export interface SidebarActions {
  readonly choose: (session: SessionModel) => void;
  readonly leave: (session: SessionModel) => void;
  readonly show: (processId: string) => void;
}

/** Closed processes of which the list still tells; the server forgets them after a while. */
const MAX_ROWS = 500;

/** The words and the mark for how a process is. */
export function describeState({ state, exitCode }: ProcessSummary): {
  readonly mark: string;
  readonly words: string;
} {
  switch (state) {
    case "starting":
      return { mark: "running", words: "starting" };
    case "running":
      return { mark: "running", words: "running" };
    case "exited":
      // Something it started still holds its output.
      return { mark: "running", words: `exited with ${exitCode ?? "?"}, output open` };
    case "closed":
      return exitCode === 0
        ? { mark: "good", words: "exit code 0" }
        : { mark: "bad", words: `exit code ${exitCode ?? "?"}` };
  }
}

/** The words and the mark for how a session is. */
export function describeSession({ state, isWatched }: SessionModel): {
  readonly mark: string;
  readonly words: string;
} {
  switch (state.status) {
    case "connecting":
      return { mark: "waiting", words: "connecting" };
    case "connected":
      return { mark: "good", words: isWatched ? "watching" : "connected" };
    case "recovering":
      return { mark: "waiting", words: "reconnecting" };
    case "failed":
      return { mark: "bad", words: state.error.kind === "takenOver" ? "taken over" : "not connected" };
  }
}

/** See the head of the file. */
export class Sidebar {
  readonly #sessions = byId("sessions");
  readonly #processes = byId("processes");
  readonly #none = byId("no-processes");
  readonly #actions: SidebarActions;
  readonly #sessionRows = new Map<SessionModel, HTMLElement>();
  readonly #processRows = new Map<string, HTMLElement>();
  #rowsOf: SessionModel | undefined;

  constructor(actions: SidebarActions) {
    this.#actions = actions;
    roving(this.#sessions, "button.row");
    roving(this.#processes, "button.row");
  }

  update(sessions: readonly SessionModel[], current: SessionModel, shown: string | undefined): void {
    for (const session of [...this.#sessionRows.keys()])
      if (!sessions.includes(session)) this.#sessionRows.delete(session);
    arrange(
      this.#sessions,
      sessions.map((session) => this.#sessionRow(session, session === current)),
    );
    if (this.#rowsOf !== current) this.#processRows.clear();
    this.#rowsOf = current;
    // The newest first: that is what one looks for.
    const wanted = [...current.processes].reverse().slice(0, MAX_ROWS);
    const ids = new Set(wanted.map(({ processId }) => processId));
    for (const id of [...this.#processRows.keys()]) if (!ids.has(id)) this.#processRows.delete(id);
    arrange(
      this.#processes,
      wanted.map((summary) => this.#processRow(summary, summary.processId === shown)),
    );
    this.#none.hidden = wanted.length > 0;
    const count = current.processes.length;
    setText(byId("process-count"), count === 0 ? "" : `${current.runningCount} of ${count} running`);
  }

  #sessionRow(session: SessionModel, isCurrent: boolean): HTMLElement {
    let row = this.#sessionRows.get(session);
    if (row === undefined) {
      const open = el(
        "button",
        { class: "row", props: { type: "button" }, onClick: () => this.#actions.choose(session) },
        el("span", { class: "dot" }),
        el("span", { class: "label mono" }),
        el("span", { class: "state" }),
      );
      const copy = button(
        "Copy id",
        () => void copyId(session, copy),
        "quiet",
        "Whoever has the id may resume the session",
      );
      const leave = button(
        "Leave",
        () => this.#actions.leave(session),
        "quiet",
        "The server keeps it for a while",
      );
      row = el("li", {}, open, el("div", { class: "session-actions" }, copy, leave));
      this.#sessionRows.set(session, row);
    }
    const { mark, words } = describeSession(session);
    const count = session.processes.length === 0 ? "" : ` · ${session.runningCount} running`;
    mark_(row, mark);
    setText(row.querySelector(".label")!, session.name);
    setText(row.querySelector(".state")!, `${words}${count}`);
    choose(row, isCurrent);
    return row;
  }

  #processRow(summary: ProcessSummary, isShown: boolean): HTMLElement {
    const { processId, argv, startedAtMs, outputBytes } = summary;
    let row = this.#processRows.get(processId);
    if (row === undefined) {
      const line = commandLine(argv);
      const open = el(
        "button",
        {
          class: "row",
          props: { type: "button", title: line },
          onClick: () => this.#actions.show(processId),
        },
        el("span", { class: "dot" }),
        el("span", { class: "label mono" }, line),
        el("span", { class: "state" }),
        el("span", { class: "more" }),
      );
      row = el("li", { attrs: { "data-process": processId } }, open);
      this.#processRows.set(processId, row);
    }
    const { mark, words } = describeState(summary);
    mark_(row, mark);
    setText(row.querySelector(".state")!, words);
    setText(row.querySelector(".more")!, `${bytes(outputBytes)} · ${age(Date.now() - startedAtMs)}`);
    choose(row, isShown);
    return row;
  }
}

function mark_(row: HTMLElement, mark: string): void {
  const dot = row.querySelector<HTMLElement>(".dot")!;
  if (dot.dataset["mark"] !== mark) dot.dataset["mark"] = mark;
}

function choose(row: HTMLElement, isChosen: boolean): void {
  const open = row.querySelector("button.row")!;
  if (isChosen) open.setAttribute("aria-current", "true");
  else open.removeAttribute("aria-current");
}

async function copyId(session: SessionModel, copy: HTMLButtonElement): Promise<void> {
  const id = session.id ?? "";
  try {
    await navigator.clipboard.writeText(id);
    setText(copy, "Copied");
  } catch {
    // Pages that came without encryption from elsewhere have no clipboard.
    prompt("The session's id:", id);
  }
}
