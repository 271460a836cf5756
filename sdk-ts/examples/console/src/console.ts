// The page once the server lets it in: which session, process and view are looked at, and what the buttons do.

import { type Client, isExecError, type ProcessSummary } from "codex-exec-server-sdk";
import { ActivityView } from "./activity.js";
import { byId, setText } from "./dom.js";
import { FilesView } from "./files.js";
import { bytes, commandLine, latency } from "./format.js";
import { recall, remember } from "./memory.js";
import { notify, tell, withdraw } from "./notices.js";
import { SessionModel } from "./session.js";
import { describeSession, describeState, Sidebar } from "./sessions.js";
import { TerminalView } from "./terminal.js";

const VIEWS = ["processes", "terminal", "files", "activity"] as const;
export type View = (typeof VIEWS)[number];

/** Sessions that one page holds, each a connection. */
const MAX_SESSIONS = 8;
/** Terminals that stay as they are while others are looked at; the one that was not for longest is made anew. */
const MAX_TERMINALS = 6;
/** How long a process may take to end by itself before it is killed. */
const GRACE_MS = 2000;

/** The shell of the server's user, or where that is none, as for users who may not log in, the plain one. */
function shellOf({ server: { shell } }: Client): string {
  return /^(ba|z|da|k|mk|fi)?sh$/.test(shell.name) ? shell.path : "/bin/sh";
}

/** See the head of the file. */
export class Console {
  readonly #token: string | undefined;
  readonly #theme: () => "light" | "dark";
  /** Finds out why a connection was refused. */
  readonly #refused: () => void;
  #sessions: SessionModel[] = [];
  #current!: SessionModel;
  /** By session and process, the one that was looked at last at the end. */
  readonly #terminals = new Map<string, TerminalView>();
  #shown: TerminalView | undefined;
  #view: View = "terminal";
  readonly #sidebar: Sidebar;
  readonly #files = new FilesView((directory) => void this.#start("", directory, true));
  readonly #activity = new ActivityView();
  #isDrawing = false;

  constructor(token: string | undefined, theme: () => "light" | "dark", refused: () => void) {
    this.#token = token;
    this.#theme = theme;
    this.#refused = refused;
    this.#sidebar = new Sidebar({
      choose: (session) => this.#choose(session),
      leave: (session) => void this.#leave(session),
      show: (processId) => {
        this.show("terminal");
        this.#showProcess(processId, /* focus */ true);
      },
    });
    byId("files-view").append(this.#files.element);
    byId("activity-view").append(this.#activity.element);
    this.#listen();
  }

  /** Takes up what was there before the reload, or begins with a new session. */
  begin(): void {
    const { sessions, watched, session, view } = recall();
    this.#sessions =
      sessions.length === 0
        ? [this.#model(undefined)]
        : sessions.map((id) => this.#model(id, watched.includes(id)));
    this.#current = this.#sessions.find(({ id }) => id !== undefined && id === session) ?? this.#sessions[0]!;
    this.show(VIEWS.find((name) => name === view) ?? "terminal");
    for (const model of this.#sessions) void model.open();
  }

  /** Brings a view to the front. */
  show(wanted: View, focus = false): void {
    // Files are read by whoever holds the session.
    const view = wanted === "files" && this.#current.isWatched ? "terminal" : wanted;
    this.#view = view;
    document.body.dataset["view"] = view;
    remember({ view });
    for (const name of VIEWS) {
      const tab = byId(`${name}-tab`);
      tab.setAttribute("aria-selected", String(name === view));
      tab.tabIndex = name === view ? 0 : -1;
      if (name === view && focus) tab.focus();
    }
    if (view === "files" && this.#current.client !== undefined) this.#files.use(this.#current.client);
    this.#draw();
  }

  /** Puts the cursor where a command is typed. */
  focusCommand(): void {
    if (matchMedia("(max-width: 760px)").matches) this.show("processes");
    byId<HTMLInputElement>("command").focus();
  }

  focusTerminal(): void {
    this.show("terminal");
    this.#shown?.focus();
  }

  themeChanged(): void {
    for (const view of this.#terminals.values()) view.setTheme(this.#theme());
  }

  #listen(): void {
    const form = byId<HTMLFormElement>("start");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const command = byId<HTMLInputElement>("command");
      const isTerminal = byId<HTMLInputElement>("tty").checked;
      void this.#start(command.value.trim(), byId<HTMLInputElement>("cwd").value.trim(), isTerminal);
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
    byId("new-session").addEventListener("click", () => this.#add(undefined));
    byId("open-session").addEventListener("click", () =>
      byId<HTMLDialogElement>("session-dialog").showModal(),
    );
    byId("session-form").addEventListener("submit", () => {
      const field = byId<HTMLInputElement>("session-id");
      const id = field.value.trim();
      field.value = "";
      if (id !== "") this.#add(id);
    });
    byId("session-cancel").addEventListener("click", () => byId<HTMLDialogElement>("session-dialog").close());
    byId("interrupt").addEventListener("click", () => void this.#interrupt());
    byId("stop").addEventListener("click", () => void this.#stop());
    byId("again").addEventListener("click", () => void this.#again());
    byId("take-back").addEventListener("click", () => {
      if (this.#current.isWatched) this.#takeBack(this.#current);
    });
    byId("save").addEventListener("click", () => void this.#shown?.save());
    byId("empty-start").addEventListener("click", () => this.focusCommand());
    byId("empty-shell").addEventListener("click", () => void this.#start("", "", /* isTerminal */ true));
  }

  #model(id: string | undefined, isWatched = false): SessionModel {
    const model = new SessionModel(this.#token, id, isWatched);
    let was = model.state;
    model.addEventListener("change", () => {
      if (model.state !== was) this.#stateChanged(model);
      was = model.state;
      this.#draw();
    });
    return model;
  }

  #add(id: string | undefined): void {
    const known = this.#sessions.find((session) => id !== undefined && session.id === id);
    if (known !== undefined) {
      this.#choose(known);
      return;
    }
    if (this.#sessions.length >= MAX_SESSIONS) {
      const text = `This page holds ${MAX_SESSIONS} sessions already. Leave one of them first, or use another tab.`;
      notify({ kind: "error", topic: "sessions", text });
      return;
    }
    const model = this.#model(id);
    this.#sessions = [...this.#sessions, model];
    this.#choose(model);
    void model.open();
  }

  #choose(session: SessionModel): void {
    this.#current = session;
    this.#shown = undefined;
    this.#rememberSessions();
    if (this.#view === "files") this.show("files");
    this.#restoreProcess();
    this.#draw();
  }

  async #leave(session: SessionModel): Promise<void> {
    const running = session.runningCount;
    const what = `${running === 1 ? "1 process" : `${running} processes`} will be ended by the server after a while`;
    if (
      running > 0 &&
      !session.isWatched &&
      !confirm(`Leave session ${session.name}? ${what}, unless its id is opened again before.`)
    )
      return;
    for (const [key, view] of [...this.#terminals]) {
      if (!key.startsWith(`${session.id}/`)) continue;
      view.dispose();
      this.#terminals.delete(key);
    }
    this.#sessions = this.#sessions.filter((other) => other !== session);
    withdraw(`session ${session.id}`);
    if (this.#sessions.length === 0) this.#add(undefined);
    else this.#choose(session === this.#current ? this.#sessions[0]! : this.#current);
    await session.leave();
  }

  #watch(session: SessionModel): void {
    this.#dropTerminals(session);
    void session.watch();
    if (session === this.#current && this.#view === "files") this.show("terminal");
    this.#rememberSessions();
  }

  #takeBack(session: SessionModel): void {
    // Those that were made to watch take no input.
    this.#dropTerminals(session);
    void session.takeBack();
    this.#rememberSessions();
  }

  #stateChanged(session: SessionModel): void {
    const { state } = session;
    const topic = `session ${session.id}`;
    if (state.status === "connected") {
      withdraw(topic);
      this.#rememberSessions();
      if (session === this.#current) {
        if (this.#view === "files") this.show("files");
        this.#restoreProcess();
      }
    }
    if (state.status !== "failed") return;
    this.#dropTerminals(session);
    this.#explain(session, state.error, topic);
  }

  /** What to do about a session that is gone. */
  #explain(session: SessionModel, error: unknown, topic: string): void {
    const again = { label: "Try again", act: () => void session.open() };
    const fresh = {
      label: "New session",
      act: () => {
        this.#sessions = this.#sessions.filter((other) => other !== session);
        this.#add(undefined);
      },
    };
    if (!isExecError(error)) {
      tell(topic, "The page made a mistake; reload it", error);
      return;
    }
    switch (error.kind) {
      case "takenOver":
        notify({
          kind: "info",
          topic,
          text: `Session ${session.name} was opened by another tab or program. It can be in one place at a time.`,
          remedies: [
            { label: "Take it back", act: () => this.#takeBack(session) },
            { label: "Watch it", act: () => this.#watch(session) },
            fresh,
          ],
        });
        return;
      case "sessionLost":
      case "invalidRequest":
        if (session.isWatched) {
          notify({
            kind: "error",
            topic,
            text: `Session ${session.name} can't be watched any more: it is over, or too many watch it already.`,
            remedies: [again, fresh],
          });
          return;
        }
        notify({
          kind: "error",
          topic,
          text: `The server no longer has session ${session.name}: it was restarted, or the session waited too long. Its processes have ended.`,
          remedies: [fresh],
        });
        return;
      case "connectFailed":
        // The server may have got another token meanwhile.
        this.#refused();
        return;
      case "closed":
        return;
      default:
        tell(topic, `Session ${session.name}`, error, [again, fresh]);
        return;
    }
  }

  #rememberSessions(): void {
    const ids = this.#sessions.map(({ id }) => id).filter((id) => id !== undefined);
    const watched = this.#sessions.filter(({ isWatched }) => isWatched).map(({ id }) => id);
    remember({ sessions: ids, watched: watched.filter((id) => id !== undefined), session: this.#current.id });
  }

  /** Shows the process that was looked at last in this session, or its newest. */
  #restoreProcess(): void {
    const session = this.#current;
    if (this.#shown !== undefined || session.state.status !== "connected" || session.id === undefined) return;
    const last = recall().shown[session.id];
    const summary = session.processes.find(({ processId }) => processId === last) ?? session.processes.at(-1);
    if (summary !== undefined) this.#showProcess(summary.processId, /* focus */ false);
  }

  #showProcess(processId: string, focus: boolean): void {
    const session = this.#current;
    const summary = session.processes.find((process) => process.processId === processId);
    if (summary === undefined || session.id === undefined) return;
    const key = `${session.id}/${processId}`;
    let view = this.#terminals.get(key);
    this.#terminals.delete(key);
    const place = byId("terminals");
    place.hidden = false;
    const isNew = view === undefined;
    view ??= new TerminalView(session, summary, () => byId("terminal-tab").focus());
    this.#terminals.set(key, view);
    this.#shown = view;
    this.#uncover();
    remember({ shown: { ...recall().shown, [session.id]: processId } });
    this.#draw();
    if (isNew) {
      view.setTheme(this.#theme());
      view.addEventListener("change", () => this.#draw());
      const made = view;
      view.addEventListener("stale", () => {
        if (this.#terminals.get(key) === made) this.#terminals.delete(key);
        made.dispose();
      });
      view.open(place);
    }
    const [oldest] = this.#terminals;
    if (this.#terminals.size > MAX_TERMINALS && oldest !== undefined) {
      oldest[1].dispose();
      this.#terminals.delete(oldest[0]);
    }
    if (focus) view.focus();
  }

  #dropTerminals(session: SessionModel): void {
    for (const [key, view] of [...this.#terminals]) {
      if (!key.startsWith(`${session.id}/`)) continue;
      if (view === this.#shown) this.#shown = undefined;
      view.dispose();
      this.#terminals.delete(key);
    }
  }

  /** Starts a command line by the server's shell, or without one the shell itself. */
  async #start(line: string, cwd: string, isTerminal: boolean): Promise<void> {
    const session = this.#current;
    const { client } = session;
    if (client === undefined) {
      notify({
        kind: "error",
        topic: "start",
        text: "There is no connection yet. Wait for it, then start again.",
      });
      return;
    }
    const shell = shellOf(client);
    const isShell = line === "";
    const submit = byId<HTMLButtonElement>("start-button");
    submit.disabled = true;
    try {
      const handle = await session.start({
        argv: isShell ? [shell, "-i"] : [shell, "-c", line],
        tty: isShell || isTerminal,
        env: { TERM: "xterm-256color", COLORTERM: "truecolor" },
        ...(cwd !== "" && { cwd }),
      });
      withdraw("start");
      byId<HTMLInputElement>("command").value = "";
      this.show("terminal");
      if (session === this.#current) this.#showProcess(handle.id, /* focus */ true);
    } catch (error) {
      tell("start", "It was not started", error);
      byId<HTMLInputElement>("command").focus();
    } finally {
      submit.disabled = false;
    }
  }

  async #interrupt(): Promise<void> {
    const processId = this.#shown?.processId;
    if (processId === undefined) return;
    try {
      await (await this.#current.follow(processId)).signal("interrupt");
    } catch (error) {
      tell("interrupt", "It was not interrupted", error);
    }
    this.#shown?.focus();
  }

  async #stop(): Promise<void> {
    const processId = this.#shown?.processId;
    const { client } = this.#current;
    if (processId === undefined || client === undefined) return;
    const stop = byId<HTMLButtonElement>("stop");
    stop.disabled = true;
    try {
      const handle = await this.#current.follow(processId);
      const { survivors = 0 } = await handle.terminate(
        client.supports("processTerminateGrace") ? { graceMs: GRACE_MS } : {},
      );
      if (survivors > 0) {
        const text = `${survivors === 1 ? "1 descendant" : `${survivors} descendants`} could not be ended: the system does not let go of them. Look at the machine itself.`;
        notify({ kind: "error", topic: "stop", text });
      }
      await this.#current.refresh();
    } catch (error) {
      tell("stop", "It was not stopped", error, [{ label: "Try again", act: () => void this.#stop() }]);
    } finally {
      stop.disabled = false;
    }
  }

  async #again(): Promise<void> {
    const summary = this.#summary();
    if (summary === undefined) return;
    try {
      const { argv, tty, cwd } = summary;
      const env = { TERM: "xterm-256color", COLORTERM: "truecolor" };
      const handle = await this.#current.start({ argv, tty, cwd, env });
      this.#showProcess(handle.id, /* focus */ true);
    } catch (error) {
      tell("start", "It was not started", error);
    }
  }

  #summary(): ProcessSummary | undefined {
    return this.#current.processes.find(({ processId }) => processId === this.#shown?.processId);
  }

  /** Draws what there is once the browser draws next, however often something changed meanwhile. */
  #draw(): void {
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    requestAnimationFrame(() => {
      this.#isDrawing = false;
      this.#drawNow();
    });
  }

  #drawNow(): void {
    const session = this.#current;
    if (this.#shown === undefined) this.#restoreProcess();
    this.#sidebar.update(this.#sessions, session, this.#shown?.processId);
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
    if (this.#view === "activity") this.#activity.update(session);
    this.#drawTerminal();
  }

  #uncover(): void {
    for (const view of this.#terminals.values()) view.element.hidden = view !== this.#shown;
  }

  #drawTerminal(): void {
    const summary = this.#summary();
    const shown = this.#shown;
    byId("terminals").hidden = shown === undefined;
    byId("terminal-empty").hidden = shown !== undefined;
    byId("terminal-bar").hidden = shown === undefined;
    this.#uncover();
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
    const { isWatched } = this.#current;
    byId("interrupt").hidden = isOver || isWatched;
    byId("stop").hidden = isOver || isWatched;
    byId("again").hidden = !isOver || isWatched;
  }
}
