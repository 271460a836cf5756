// What the buttons do to processes: start one, interrupt it, stop it, and start it again.

import type { Client } from "codex-exec-server-sdk";
import { byId } from "./dom.js";
import { notify, tell, withdraw } from "./notices.js";
import type { SessionSet } from "./session-set.js";
import type { Terminals } from "./terminals.js";

/** How long a process may take to end by itself before it is killed. */
const GRACE_MS = 2000;
/** What the page's terminals understand. */
const ENV = { TERM: "xterm-256color", COLORTERM: "truecolor" };

/** The shell of the server's user, or where that is none, as for users who may not log in, the plain one. */
function shellOf({ server: { shell } }: Client): string {
  return /^(ba|z|da|k|mk|fi)?sh$/.test(shell.name) ? shell.path : "/bin/sh";
}

/** See the head of the file. They are about the session that is looked at, and the process that is shown. */
export class ProcessActions {
  readonly #sessions: SessionSet;
  readonly #terminals: Terminals;
  readonly #toTerminal: () => void;

  /** `toTerminal` brings the terminals to the front. */
  constructor(sessions: SessionSet, terminals: Terminals, toTerminal: () => void) {
    this.#sessions = sessions;
    this.#terminals = terminals;
    this.#toTerminal = toTerminal;
  }

  /** Starts a command line by the server's shell, or without one the shell itself. */
  async start(line: string, cwd: string, isTerminal: boolean): Promise<void> {
    const session = this.#sessions.current;
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
        env: ENV,
        ...(cwd !== "" && { cwd }),
      });
      withdraw("start");
      byId<HTMLInputElement>("command").value = "";
      this.#toTerminal();
      if (session === this.#sessions.current) this.#terminals.show(session, handle.id, /* focus */ true);
    } catch (error) {
      tell("start", "It was not started", error);
      byId<HTMLInputElement>("command").focus();
    } finally {
      submit.disabled = false;
    }
  }

  async interrupt(): Promise<void> {
    const processId = this.#terminals.shown?.processId;
    if (processId === undefined) return;
    try {
      await (await this.#sessions.current.follow(processId)).signal("interrupt");
    } catch (error) {
      tell("interrupt", "It was not interrupted", error);
    }
    this.#terminals.shown?.focus();
  }

  /** Ends it and its descendants; those that do not end by themselves are killed. */
  async stop(): Promise<void> {
    const processId = this.#terminals.shown?.processId;
    const { client } = this.#sessions.current;
    if (processId === undefined || client === undefined) return;
    const stop = byId<HTMLButtonElement>("stop");
    stop.disabled = true;
    try {
      const handle = await this.#sessions.current.follow(processId);
      const { survivors = 0 } = await handle.terminate(
        client.supports("processTerminateGrace") ? { graceMs: GRACE_MS } : {},
      );
      if (survivors > 0) {
        const text = `${survivors === 1 ? "1 descendant" : `${survivors} descendants`} could not be ended: the system does not let go of them. Look at the machine itself.`;
        notify({ kind: "error", topic: "stop", text });
      }
      await this.#sessions.current.refresh();
    } catch (error) {
      tell("stop", "It was not stopped", error, [{ label: "Try again", act: () => void this.stop() }]);
    } finally {
      stop.disabled = false;
    }
  }

  /** Starts what is over once more, as it was. */
  async again(): Promise<void> {
    const summary = this.#sessions.current.process(this.#terminals.shown?.processId);
    if (summary === undefined) return;
    try {
      const { argv, tty, cwd } = summary;
      const handle = await this.#sessions.current.start({ argv, tty, cwd, env: ENV });
      this.#terminals.show(this.#sessions.current, handle.id, /* focus */ true);
    } catch (error) {
      tell("start", "It was not started", error);
    }
  }
}
