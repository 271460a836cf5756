// The terminals that are held: one of them is shown, the others stay as they are until they are looked at again.

import { byId } from "./dom.js";
import { recall, remember } from "./memory.js";
import type { SessionModel } from "./session.js";
import { TerminalView } from "./terminal.js";

/** Terminals that stay as they are while others are looked at; the one that was not for longest is made anew. */
const MAX_TERMINALS = 6;

/** See the head of the file. */
export class Terminals {
  readonly #theme: () => "light" | "dark";
  readonly #changed: () => void;
  readonly #said: () => void;
  /** By session and process, the one that was looked at last at the end. */
  readonly #views = new Map<string, TerminalView>();
  #shown: TerminalView | undefined;

  /** `changed` is told whenever another one is shown, `said` when there is news of the one that is. */
  constructor(theme: () => "light" | "dark", changed: () => void, said: () => void) {
    this.#theme = theme;
    this.#changed = changed;
    this.#said = said;
  }

  get shown(): TerminalView | undefined {
    return this.#shown;
  }

  /** Shows what a process of `session` says, from the beginning where it is not held. */
  show(session: SessionModel, processId: string, focus: boolean): void {
    const summary = session.process(processId);
    if (summary === undefined || session.id === undefined) return;
    const key = `${session.id}/${processId}`;
    let view = this.#views.get(key);
    this.#views.delete(key);
    const place = byId("terminals");
    place.hidden = false;
    const isNew = view === undefined;
    view ??= new TerminalView(session, summary, () => byId("terminal-tab").focus());
    this.#views.set(key, view);
    this.#shown = view;
    this.uncover();
    remember({ shown: { ...recall().shown, [session.id]: processId } });
    this.#changed();
    if (isNew) this.#open(view, place);
    const [oldest] = this.#views;
    if (this.#views.size > MAX_TERMINALS && oldest !== undefined) {
      oldest[1].dispose();
      this.#views.delete(oldest[0]);
    }
    if (focus) view.focus();
  }

  /** Where none is shown, shows the process that was looked at last in `session`, or its newest. */
  restore(session: SessionModel): void {
    if (this.#shown !== undefined || session.state.status !== "connected" || session.id === undefined) return;
    const last = recall().shown[session.id];
    const summary = session.process(last) ?? session.processes.at(-1);
    if (summary !== undefined) this.show(session, summary.processId, /* focus */ false);
  }

  /** Shows none; all are held on. */
  hide(): void {
    this.#shown = undefined;
  }

  /** Holds those of `session` no longer. */
  drop(session: SessionModel): void {
    for (const [key, view] of [...this.#views]) {
      if (!key.startsWith(`${session.id}/`)) continue;
      if (view === this.#shown) this.#shown = undefined;
      view.dispose();
      this.#views.delete(key);
    }
  }

  /** Lets the one that is shown be seen, and no other. */
  uncover(): void {
    for (const view of this.#views.values()) view.cover(view !== this.#shown);
  }

  themeChanged(): void {
    for (const view of this.#views.values()) view.setTheme(this.#theme());
  }

  #open(view: TerminalView, place: HTMLElement): void {
    view.setTheme(this.#theme());
    view.addEventListener("change", () => {
      if (view === this.#shown) this.#said();
    });
    view.open(place);
  }
}
