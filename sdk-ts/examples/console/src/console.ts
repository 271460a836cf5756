// The page once the server lets it in: the view that is in front, and how its sessions, terminals and buttons hang together.

import { ProcessActions } from "./actions.js";
import { ActivityView } from "./activity.js";
import { byId } from "./dom.js";
import { drawSession, drawTerminal, oncePerFrame } from "./drawing.js";
import { FilesView } from "./files.js";
import { recall, remember } from "./memory.js";
import { SessionSet } from "./session-set.js";
import { Sidebar } from "./sidebar.js";
import { Terminals } from "./terminals.js";

const VIEWS = ["processes", "terminal", "files", "activity"] as const;
export type View = (typeof VIEWS)[number];

/** See the head of the file. */
export class Console {
  readonly #sessions: SessionSet;
  readonly #terminals: Terminals;
  readonly #actions: ProcessActions;
  readonly #sidebar: Sidebar;
  readonly #files: FilesView;
  readonly #activity = new ActivityView();
  /** Draws what there is, however often something changed meanwhile. */
  readonly #draw = oncePerFrame(() => this.#drawNow());
  #view: View = "terminal";

  /** `refused` finds out why a connection was refused. */
  constructor(token: string | undefined, theme: () => "light" | "dark", refused: () => void) {
    this.#sessions = new SessionSet(token, {
      changed: () => this.#draw(),
      chosen: () => {
        this.#terminals.hide();
        this.#lookAgain();
        this.#draw();
      },
      connected: () => this.#lookAgain(),
      watched: () => {
        if (this.#view === "files") this.show("terminal");
      },
      ended: (session) => this.#terminals.drop(session),
      refused,
    });
    const drawBar = oncePerFrame(() => drawTerminal(this.#sessions.current, this.#terminals.shown));
    this.#terminals = new Terminals(theme, () => this.#draw(), drawBar);
    this.#actions = new ProcessActions(this.#sessions, this.#terminals, () => this.show("terminal"));
    this.#files = new FilesView(
      (directory) => void this.#actions.start("", directory, /* isTerminal */ true),
    );
    this.#sidebar = new Sidebar({
      choose: (session) => this.#sessions.choose(session),
      leave: (session) => void this.#sessions.leave(session),
      show: (processId) => {
        this.show("terminal");
        this.#terminals.show(this.#sessions.current, processId, /* focus */ true);
      },
    });
    byId("files-view").append(this.#files.element);
    byId("activity-view").append(this.#activity.element);
    this.#listen();
  }

  /** Takes up what was there before the reload, or begins with a new session. */
  begin(): void {
    const { view } = recall();
    this.show(VIEWS.find((name) => name === view) ?? "terminal");
    this.#sessions.open();
  }

  /** Brings a view to the front. */
  show(wanted: View, focus = false): void {
    // Files are read by whoever holds the session.
    const view = wanted === "files" && this.#sessions.current.isWatched ? "terminal" : wanted;
    this.#view = view;
    document.body.dataset["view"] = view;
    remember({ view });
    for (const name of VIEWS) {
      const tab = byId(`${name}-tab`);
      tab.setAttribute("aria-selected", String(name === view));
      tab.tabIndex = name === view ? 0 : -1;
      if (name === view && focus) tab.focus();
    }
    if (view === "files" && this.#sessions.current.client !== undefined)
      this.#files.use(this.#sessions.current.client);
    this.#draw();
  }

  /** Puts the cursor where a command is typed. */
  focusCommand(): void {
    if (matchMedia("(max-width: 760px)").matches) this.show("processes");
    byId<HTMLInputElement>("command").focus();
  }

  focusTerminal(): void {
    this.show("terminal");
    this.#terminals.shown?.focus();
  }

  themeChanged(): void {
    this.#terminals.themeChanged();
  }

  #listen(): void {
    const form = byId<HTMLFormElement>("start");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const command = byId<HTMLInputElement>("command");
      const isTerminal = byId<HTMLInputElement>("tty").checked;
      void this.#actions.start(command.value.trim(), byId<HTMLInputElement>("cwd").value.trim(), isTerminal);
    });
    for (const name of VIEWS) {
      byId(`${name}-tab`).addEventListener("click", () => this.show(name));
    }
    byId("tabs").addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      const visible = VIEWS.filter((name) => byId(`${name}-tab`).offsetParent !== null);
      const at = visible.indexOf(this.#view);
      this.show(visible[(at + step + visible.length) % visible.length]!, /* focus */ true);
    });
    byId("new-session").addEventListener("click", () => this.#sessions.add(undefined));
    byId("open-session").addEventListener("click", () =>
      byId<HTMLDialogElement>("session-dialog").showModal(),
    );
    byId<HTMLFormElement>("session-form").addEventListener("submit", ({ submitter }) => {
      const field = byId<HTMLInputElement>("session-id");
      const id = field.value.trim();
      field.value = "";
      if (id !== "") this.#sessions.add(id, /* isWatched */ submitter === byId("session-watch"));
    });
    byId("session-cancel").addEventListener("click", () => byId<HTMLDialogElement>("session-dialog").close());
    byId("interrupt").addEventListener("click", () => void this.#actions.interrupt());
    byId("stop").addEventListener("click", () => void this.#actions.stop());
    byId("again").addEventListener("click", () => void this.#actions.again());
    byId("take-back").addEventListener("click", () => {
      const { current } = this.#sessions;
      if (current.isWatched) this.#sessions.takeBack(current);
    });
    byId("save").addEventListener("click", () => void this.#terminals.shown?.save());
    byId("empty-start").addEventListener("click", () => this.focusCommand());
    byId("empty-shell").addEventListener(
      "click",
      () => void this.#actions.start("", "", /* isTerminal */ true),
    );
  }

  /** Shows the files and the process of a session that was not looked at so far, or could not be. */
  #lookAgain(): void {
    if (this.#view === "files") this.show("files");
    this.#terminals.restore(this.#sessions.current);
  }

  #drawNow(): void {
    const { all, current } = this.#sessions;
    this.#terminals.restore(current);
    this.#sidebar.update(all, current, this.#terminals.shown?.processId);
    drawSession(current);
    if (this.#view === "activity") this.#activity.update(current);
    this.#terminals.uncover();
    drawTerminal(current, this.#terminals.shown);
  }
}
