// What one process says, on a terminal, and what is typed there. Begins with everything the server retains, so it looks
// the same after a reload.

import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import type { ProcessEvent, ProcessHandle, ProcessSummary } from "codex-exec-server-sdk";
import { download, el } from "./dom.js";
import { bytes } from "./format.js";
import { notify, tell } from "./notices.js";
import type { SessionModel } from "./session.js";
import { THEMES } from "./terminal-themes.js";

/** Lines to scroll back; a terminal of that size takes 20 MB or so. All that is retained can be saved. */
const SCROLLBACK_LINES = 10_000;
/** Keystrokes and pastes that wait for a terminal to be live; beyond that they are dropped. */
const MAX_EARLY = 256;
/** What a terminal answers, behind an escape, to questions that stand in output: about its kind, its cursor, its size and colours. */
const REPLY = /^(?:\[[?>=]?[\d;]*[cRntuy]|\]|P)/;
/** Bytes that may wait to be drawn. Beyond that the reader pauses, and its own rules say what becomes of the rest. */
const MAX_UNDRAWN_BYTES = 512 * 1024;

/**
 * What is drawn between two frames. Everything else on the page, and the answers on the same connection, which a browser
 * can't hold, have the rest of the time; a process that says more is shown as it is now.
 */
const MAX_FRAME_BYTES = 64 * 1024;
/** A process that says more than that is drawn for half of the time at most, and rests no longer than this. */
const MAX_REST_MS = 100;
/** Output to begin with where there is more: about as much as fits into the lines above. */
const MAX_REPLAY_BYTES = 2 * 1024 * 1024;
/** The same for one that is looked at again: it has its lines, and is to be live at once. */
const MAX_RESUME_BYTES = 128 * 1024;
/** A terminal that is further behind than this shows what is said now, and not what was said in between. */
const MAX_BEHIND_BYTES = 8 * 1024 * 1024;

function rest(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** How the terminal of a process is. */
export interface TerminalStatus {
  readonly receivedBytes: number;
  readonly lostBytes: number;
  /** How it is known that nothing is missing, once the process is closed. */
  readonly proof: string | undefined;
}

/** See the head of the file. Dispatches `change` when its status does. */
export class TerminalView extends EventTarget {
  readonly element = el("div", { class: "screen" });
  readonly processId: string;
  status: TerminalStatus = { receivedBytes: 0, lostBytes: 0, proof: undefined };
  readonly #session: SessionModel;
  readonly #isTty: boolean;
  /** What is typed, and its size, are those of whoever holds the session. */
  readonly #takesInput: boolean;
  readonly #terminal: Terminal;
  readonly #fit = new FitAddon();
  readonly #over = new AbortController();
  /** Ends what follows the process now. */
  #following = new AbortController();
  /** Nothing follows it, since nobody looked while it had much to say. */
  #isParked = false;
  /** The last event that was shown. */
  #seq = 0;
  readonly #resizes: ResizeObserver;
  #handle: ProcessHandle | undefined;
  /** Whether what is on the screen is what the process says now, and no longer what it said before this page came. */
  #isLive = false;
  /** What was typed before that. */
  #early: (string | Uint8Array)[] = [];
  #undrawn = 0;
  /** Drawn since the last frame, and since when. */
  #frameBytes = 0;
  #frameBegan = 0;
  /** Said since nobody looks. */
  #hiddenBytes = 0;
  #drawn: (() => void) | undefined;

  constructor(session: SessionModel, summary: ProcessSummary, leave: () => void) {
    super();
    this.#session = session;
    this.processId = summary.processId;
    this.#isTty = summary.tty;
    this.#takesInput = summary.tty && !session.isWatched;
    this.element.dataset["process"] = summary.processId;
    this.#terminal = new Terminal({
      scrollback: SCROLLBACK_LINES,
      fontFamily: getComputedStyle(document.documentElement).getPropertyValue("--mono"),
      fontSize: 13,
      // Pipes have no line discipline that would return the carriage.
      convertEol: !this.#isTty,
      disableStdin: !this.#takesInput,
      cursorBlink: this.#takesInput,
      cursorInactiveStyle: this.#takesInput ? "outline" : "none",
      minimumContrastRatio: 4.5,
      allowProposedApi: false,
    });
    this.#terminal.loadAddon(this.#fit);
    this.#terminal.attachCustomKeyEventHandler((event) => this.#key(event, leave));
    this.#terminal.onData((text) => this.#type(text));
    this.#terminal.onBinary((text) => this.#type(Uint8Array.from(text, (char) => char.charCodeAt(0))));
    this.#terminal.onResize(({ rows, cols }) => this.#resized(rows, cols));
    this.#resizes = new ResizeObserver(() => this.#refit());
  }

  /** Puts it into `place`, and begins to show what there is. */
  open(place: HTMLElement): void {
    place.append(this.element);
    this.#terminal.open(this.element);
    const name = this.#takesInput ? "Terminal" : "Output";
    this.#terminal.textarea?.setAttribute("aria-label", `${name}; Shift+F6 leaves it`);
    this.#refit();
    this.#resizes.observe(this.element);
    void this.#follow();
  }

  focus(): void {
    this.#terminal.focus();
  }

  /** Hides it or lets it be seen. What was on the screen stays there; one that was parked goes on close to the end. */
  cover(isHidden: boolean): void {
    this.element.hidden = isHidden;
    if (isHidden || !this.#isParked) return;
    this.#isParked = false;
    this.#hiddenBytes = 0;
    void this.#follow(MAX_RESUME_BYTES);
  }

  setTheme(theme: "light" | "dark"): void {
    this.#terminal.options.theme = THEMES[theme];
  }

  /** Lets go of everything; the process runs on. */
  dispose(): void {
    this.#over.abort();
    this.#resizes.disconnect();
    this.#session.unfollow(this.processId);
    this.#terminal.dispose();
    this.element.remove();
    this.#drawn?.();
  }

  /** Saves all that the server retains by now. */
  async save(): Promise<void> {
    try {
      await this.#session.refresh();
      const summary = this.#summary();
      const lastSeq = summary?.lastSeq ?? 0;
      const pieces: Uint8Array<ArrayBuffer>[] = [];
      let lost = 0;
      if (lastSeq > 0) {
        const handle = await this.#session.follow(this.processId);
        for await (const event of handle.events({
          after: 0,
          whenBehind: "readLater",
          signal: this.#over.signal,
        })) {
          if (event.type === "output") pieces.push(event.bytes);
          else if (event.type === "gap") lost += event.bytes ?? 0;
          if (event.seq >= lastSeq) break;
        }
      }
      download(`${this.processId}.log`, pieces);
      if (lost > 0) {
        const text = `Saved without the first ${bytes(lost)}, which the server no longer retains. Start with a larger output budget to keep more.`;
        notify({ kind: "info", topic: "save", text });
      }
    } catch (error) {
      tell("save", "The output was not saved", error, [{ label: "Try again", act: () => void this.save() }]);
    }
  }

  #summary(): ProcessSummary | undefined {
    return this.#session.processes.find(({ processId }) => processId === this.processId);
  }

  /** `replayBytes`: output to begin with, where there is more. */
  async #follow(replayBytes = MAX_REPLAY_BYTES): Promise<void> {
    this.#following = new AbortController();
    const signal = AbortSignal.any([this.#over.signal, this.#following.signal]);
    try {
      await this.#session.refresh();
      signal.throwIfAborted();
      const before = this.#summary()?.lastSeq ?? 0;
      let after = this.#skipTo(this.#seq, replayBytes, replayBytes);
      this.#handle = await this.#session.follow(this.processId, after);
      signal.throwIfAborted();
      if (after >= before) this.#live();
      for (let isOver = false; !isOver; ) {
        if (after > this.#seq)
          this.#say("output before this is not shown here: Save output has all that is retained");
        isOver = true;
        for await (const event of this.#handle.events({ after, whenBehind: "readLater", signal })) {
          this.#seq = event.seq;
          await this.#show(event);
          if (!this.#isLive && event.seq >= before) this.#draw("", () => this.#live(signal));
          after = this.#skipTo(event.seq, MAX_BEHIND_BYTES, MAX_REPLAY_BYTES);
          if (after > event.seq) {
            isOver = false;
            break;
          }
        }
      }
    } catch (error) {
      if (signal.aborted || this.#session.state.status === "failed") return;
      tell(`terminal ${this.processId}`, "The output can't be followed any more", error);
    }
  }

  /** Follows the process no longer, until somebody looks again. */
  #park(): void {
    this.#isParked = true;
    this.#isLive = false;
    delete this.element.dataset["live"];
    this.#following.abort();
    this.#session.unfollow(this.processId);
  }

  /** Where to go on behind `seq`: right there or, where more than `maxBytes` lie between, `keptBytes` before the end. */
  #skipTo(seq: number, maxBytes: number, keptBytes: number): number {
    const { lastSeq = 0, outputBytes = 0 } = this.#summary() ?? {};
    const perSeq = outputBytes / Math.max(1, lastSeq);
    if ((lastSeq - seq) * perSeq <= maxBytes) return seq;
    return Math.max(seq, lastSeq - Math.ceil(keptBytes / perSeq));
  }

  async #show(event: ProcessEvent): Promise<void> {
    switch (event.type) {
      case "output":
        this.#tell({ receivedBytes: this.status.receivedBytes + event.bytes.length });
        this.#draw(event.bytes);
        await this.#pace(event.bytes.length);
        if (this.#undrawn > MAX_UNDRAWN_BYTES) {
          await new Promise<void>((resolve) => {
            this.#drawn = resolve;
          });
        }
        break;
      case "gap": {
        const size = event.bytes === undefined ? "Some output is" : `${bytes(event.bytes)} are`;
        this.#say(`${size} gone: the server retains no more`);
        this.#tell({ lostBytes: this.status.lostBytes + (event.bytes ?? 0) });
        break;
      }
      case "exited":
        void this.#session.refresh();
        break;
      case "closed":
        this.#tell({ proof: event.proof });
        // What is on the screen is all there will be.
        this.#draw("", () => {
          this.element.dataset["complete"] = "";
        });
        void this.#session.refresh();
        break;
    }
  }

  /** Leaves time for others. One that nobody looks at, and that has much to say, is parked until it is shown again. */
  async #pace(count: number): Promise<void> {
    if (this.element.hidden) {
      this.#hiddenBytes += count;
      if (this.#hiddenBytes > MAX_REPLAY_BYTES) this.#park();
    } else this.#hiddenBytes = 0;
    if (this.#frameBytes === 0) this.#frameBegan = performance.now();
    this.#frameBytes += count;
    if (this.#frameBytes < MAX_FRAME_BYTES) return;
    this.#frameBytes = 0;
    await new Promise<void>((resolve) => requestAnimationFrame(() => resolve()));
    // What came before is to be seen soon, and nobody reads what rushes by.
    if (this.#isLive) await rest(Math.min(performance.now() - this.#frameBegan, MAX_REST_MS));
  }

  /** Says something that the process did not. */
  #say(text: string): void {
    this.#draw(`\r\n\x1b[0;7m ${text} \x1b[0m\r\n`);
  }

  #draw(data: Uint8Array | string, then?: () => void): void {
    this.#undrawn += data.length;
    this.#terminal.write(data, () => {
      this.#undrawn -= data.length;
      if (this.#undrawn <= MAX_UNDRAWN_BYTES / 2) {
        this.#drawn?.();
        this.#drawn = undefined;
      }
      then?.();
    });
  }

  #tell(changes: Partial<TerminalStatus>): void {
    this.status = { ...this.status, ...changes };
    this.dispatchEvent(new Event("change"));
  }

  #live(following = this.#following.signal): void {
    if (following.aborted) return;
    this.#isLive = true;
    this.element.dataset["live"] = "";
    for (const data of this.#early.splice(0)) this.#type(data);
    this.#resized(this.#terminal.rows, this.#terminal.cols);
  }

  /** Sends what was typed. The terminal also answers questions that stand in the output: not those of long ago, again. */
  #type(data: string | Uint8Array): void {
    if (!this.#takesInput) return;
    if (!this.#isLive) {
      const isReply = typeof data === "string" && data.startsWith("\x1b") && REPLY.test(data.slice(1));
      if (!isReply && this.#early.length < MAX_EARLY) this.#early.push(data);
      return;
    }
    this.#handle?.write(data).catch((error: unknown) => {
      const isRunning = this.#summary()?.state === "running";
      if (isRunning && !this.#over.signal.aborted) tell("type", "What you typed did not arrive", error);
    });
  }

  #key(event: KeyboardEvent, leave: () => void): boolean {
    if (event.type !== "keydown") return true;
    if (event.key === "F6" && event.shiftKey) {
      event.preventDefault();
      leave();
      return false;
    }
    // Ctrl+C alone belongs to the process.
    if (event.ctrlKey && event.shiftKey && event.code === "KeyC" && this.#terminal.hasSelection()) {
      event.preventDefault();
      navigator.clipboard?.writeText(this.#terminal.getSelection()).catch(() => {});
      return false;
    }
    return true;
  }

  /** Takes the room there is; where there is none, as while another view is shown, it keeps its size. */
  #refit(): void {
    if (this.element.clientWidth > 0 && this.element.clientHeight > 0) this.#fit.fit();
  }

  #resized(rows: number, cols: number): void {
    if (!this.#isLive || !this.#takesInput || this.#session.client?.supports("processResize") !== true)
      return;
    // One that ended meanwhile has no size.
    this.#handle?.resize({ rows, cols }).catch(() => {});
  }
}
