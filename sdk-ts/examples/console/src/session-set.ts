// The sessions that one page holds, the one of them that is looked at, and what to do when one is gone.

import { isExecError } from "codex-exec-server-sdk";
import { recall, remember } from "./memory.js";
import { notify, tell, withdraw } from "./notices.js";
import { SessionModel } from "./session.js";

/** Sessions that one page holds, each a connection. */
const MAX_SESSIONS = 8;

/** What the page does about its sessions. */
export interface SessionSetEvents {
  /** Something of a session is different. */
  readonly changed: () => void;
  /** A session was chosen to be looked at, which may be the one that was. */
  readonly chosen: () => void;
  /** The one that is looked at is connected. */
  readonly connected: () => void;
  /** The one that is looked at is only watched from now on. */
  readonly watched: () => void;
  /** The connection of a session is given up or lost, and with it whatever was made of it. */
  readonly ended: (session: SessionModel) => void;
  /** A connection was refused, and somebody has to find out why. */
  readonly refused: () => void;
}

/** See the head of the file. Never empty. */
export class SessionSet {
  readonly #token: string | undefined;
  readonly #events: SessionSetEvents;
  #all: readonly SessionModel[];
  #current: SessionModel;

  /** Those that were there before the reload, or a new one; {@link SessionSet.open} connects them. */
  constructor(token: string | undefined, events: SessionSetEvents) {
    this.#token = token;
    this.#events = events;
    const { sessions, watched, session } = recall();
    this.#all =
      sessions.length === 0
        ? [this.#model(undefined)]
        : sessions.map((id) => this.#model(id, watched.includes(id)));
    this.#current = this.#all.find(({ id }) => id !== undefined && id === session) ?? this.#all[0]!;
  }

  get all(): readonly SessionModel[] {
    return this.#all;
  }

  /** The one that is looked at. */
  get current(): SessionModel {
    return this.#current;
  }

  open(): void {
    for (const model of this.#all) void model.open();
  }

  /** Takes up the session `id`, or a new one, and looks at it; `isWatched` leaves it to whoever holds it. */
  add(id: string | undefined, isWatched = false): void {
    const known = this.#all.find((session) => id !== undefined && session.id === id);
    if (known !== undefined) {
      this.choose(known);
      // What this page holds itself it need not watch.
      if (known.isWatched && !isWatched) this.takeBack(known);
      return;
    }
    if (this.#all.length >= MAX_SESSIONS) {
      const text = `This page holds ${MAX_SESSIONS} sessions already. Leave one of them first, or use another tab.`;
      notify({ kind: "error", topic: "sessions", text });
      return;
    }
    const model = this.#model(id, isWatched);
    this.#all = [...this.#all, model];
    this.choose(model);
    if (isWatched) this.#events.watched();
    void model.open();
  }

  choose(session: SessionModel): void {
    this.#current = session;
    this.#remember();
    this.#events.chosen();
  }

  /** Lets go of a session, after a question where processes run in it. */
  async leave(session: SessionModel): Promise<void> {
    const running = session.runningCount;
    const what = `${running === 1 ? "1 process" : `${running} processes`} will be ended by the server after a while`;
    if (
      running > 0 &&
      !session.isWatched &&
      !confirm(`Leave session ${session.name}? ${what}, unless its id is opened again before.`)
    )
      return;
    this.#events.ended(session);
    this.#all = this.#all.filter((other) => other !== session);
    withdraw(`session ${session.id}`);
    if (this.#all.length === 0) this.add(undefined);
    else this.choose(session === this.#current ? this.#all[0]! : this.#current);
    await session.leave();
  }

  /** Leaves a session to whoever holds it, and looks on. */
  watch(session: SessionModel): void {
    this.#events.ended(session);
    void session.watch();
    if (session === this.#current) this.#events.watched();
    this.#remember();
  }

  /** Holds a session again that is only watched, or was taken over. */
  takeBack(session: SessionModel): void {
    // What was made to watch takes no input.
    this.#events.ended(session);
    void session.takeBack();
    this.#remember();
  }

  #model(id: string | undefined, isWatched = false): SessionModel {
    const model = new SessionModel(this.#token, id, isWatched);
    let was = model.state;
    model.addEventListener("change", () => {
      if (model.state !== was) this.#stateChanged(model);
      was = model.state;
      this.#events.changed();
    });
    return model;
  }

  #stateChanged(session: SessionModel): void {
    const { state } = session;
    const topic = `session ${session.id}`;
    if (state.status === "connected") {
      withdraw(topic);
      this.#remember();
      if (session === this.#current) this.#events.connected();
    }
    if (state.status !== "failed") return;
    this.#events.ended(session);
    this.#explain(session, state.error, topic);
  }

  /** What to do about a session that is gone. */
  #explain(session: SessionModel, error: unknown, topic: string): void {
    const again = { label: "Try again", act: () => void session.open() };
    const fresh = {
      label: "New session",
      act: () => {
        this.#all = this.#all.filter((other) => other !== session);
        this.add(undefined);
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
            { label: "Take it back", act: () => this.takeBack(session) },
            { label: "Watch it", act: () => this.watch(session) },
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
            text: `Session ${session.name} can't be watched: it is over, or its id is not known.`,
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
        this.#events.refused();
        return;
      case "closed":
        return;
      default:
        tell(topic, `Session ${session.name}`, error, [again, fresh]);
        return;
    }
  }

  #remember(): void {
    const ids = this.#all.map(({ id }) => id).filter((id) => id !== undefined);
    const watched = this.#all.filter(({ isWatched }) => isWatched).map(({ id }) => id);
    remember({ sessions: ids, watched: watched.filter((id) => id !== undefined), session: this.#current.id });
  }
}
