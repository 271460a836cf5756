// Who is at the other end of a session, and opening one on a connection.

import type { ClientConfig } from "../config.js";
import { acknowledgeEvery } from "../core/acknowledging.js";
import { windowBytes } from "../core/limits.js";
import { isObject } from "../core/message.js";
import { ExecError, refusal, unsupported } from "../errors.js";
import { ERROR_CODES } from "../generated/constants.js";
import type {
  EnvironmentInfo,
  InitializeParams,
  InitializeResponse,
  RpcError,
  ServerLimits,
} from "../generated/types.js";
import type { Link, LinkEnd } from "./link.js";
import { sleep } from "./timers.js";

/** Who is at the other end of a session. */
export interface Peer {
  /** The session. Whoever knows it may resume it: treat it as a secret. */
  readonly sessionId: string;
  /** What the server's machine is like and what the server can do. */
  readonly environment: EnvironmentInfo;
  /** Bounds that the server told. Flag `serverLimits`. */
  readonly limits: ServerLimits | undefined;
  /** How long the server keeps the session while no connection holds it. Flag `sessionLifetime`. */
  readonly detachedLifetimeMs: number | undefined;
  /** Whether the session is only watched. */
  readonly isObserver: boolean;
}

/** Which session to open. */
export type Wanted =
  | { readonly type: "new" }
  /** One of which only the id is known. */
  | { readonly type: "existing"; readonly sessionId: string; readonly takeover: boolean }
  /** One that is only watched, whoever holds it. */
  | { readonly type: "observed"; readonly sessionId: string }
  /** The one that was lost. */
  | { readonly type: "lost"; readonly peer: Peer };

/** What is assumed of a very old peer that tells nothing. */
const UNKNOWN_ENVIRONMENT: EnvironmentInfo = { shell: { name: "sh", path: "/bin/sh" } };

/** After how much a server is to be told how far the subscribers to a process are; `undefined` if it does not want to know. */
export function acknowledgementsOf(peer: Peer, { process }: ClientConfig): number | undefined {
  if (peer.environment.capabilities?.outputWindow !== true) return undefined;
  const granted = peer.limits?.outputWindowBytes ?? Number.POSITIVE_INFINITY;
  return acknowledgeEvery(Math.min(windowBytes(process), granted));
}

function wantedId(wanted: Wanted): string | undefined {
  if (wanted.type === "new") return undefined;
  return wanted.type === "lost" ? wanted.peer.sessionId : wanted.sessionId;
}

function isObserved(wanted: Wanted): boolean {
  return wanted.type === "observed" || (wanted.type === "lost" && wanted.peer.isObserver);
}

function initializeParams(config: ClientConfig, wanted: Wanted): InitializeParams {
  // What this client takes besides JSON, wherever the connection can carry it, and how much of it ahead.
  const { process, outputPackingMs } = config;
  const capabilities = {
    binaryOutput: true,
    outputWindowBytes: windowBytes(process),
    ...(outputPackingMs !== null && { outputPackingMs }),
  };
  const sessionId = wantedId(wanted);
  if (isObserved(wanted) && sessionId !== undefined) {
    const params: InitializeParams & { readonly observeSessionId: string } = {
      clientName: config.clientName,
      resumeSessionId: null,
      observeSessionId: sessionId,
      capabilities,
    };
    return params;
  }
  const takeover =
    wanted.type === "existing"
      ? wanted.takeover
      : wanted.type === "lost" && wanted.peer.environment.capabilities?.sessionTakeover === true;
  return {
    clientName: config.clientName,
    resumeSessionId: sessionId ?? null,
    capabilities,
    ...(takeover && { takeover }),
    ...(config.detachedLifetimeMs !== undefined && { detachedLifetimeMs: config.detachedLifetimeMs }),
  };
}

/**
 * Asks for a session and waits for it. The request is sent before this returns to the event loop, so what is sent next
 * arrives behind it. Rejects with an {@link ExecError}.
 */
export function openSession(
  link: Link,
  config: ClientConfig,
  wanted: Wanted,
  signal: AbortSignal,
): Promise<Peer> {
  const patience = new AbortController();
  const answer = new Promise<Peer>((resolve, reject) => {
    link.call("initialize", initializeParams(config, wanted), (outcome) => {
      if (outcome.type === "result") {
        const peer = recognize(outcome.result, wanted);
        if (peer instanceof ExecError) reject(peer);
        else resolve(peer);
      } else if (outcome.type === "refused") reject(initializeRefusal(outcome.error, wanted));
      else link.ended.then((end) => reject(lostError(end)));
    });
  });
  const timeout = sleep(config.initializeTimeoutMs, AbortSignal.any([patience.signal, signal])).then(() => {
    if (signal.aborted) throw signal.reason;
    throw new ExecError(
      "timeout",
      `server did not answer initialize within ${config.initializeTimeoutMs} ms`,
      {
        hint: "is it a codex-exec-server, and is it the right port?",
      },
    );
  });
  return Promise.race([answer, timeout]).finally(() => patience.abort());
}

/** Who answered, provided that it is the session that was asked for. */
function recognize(answer: InitializeResponse, wanted: Wanted): Peer | ExecError {
  if (!isObject(answer) || typeof answer["sessionId"] !== "string") {
    return new ExecError("protocol", "server broke the protocol: its answer to initialize names no session", {
      hint: "is it a codex-exec-server, and is it the right port?",
    });
  }
  const asked = wantedId(wanted);
  const isObserver = isObserved(wanted);
  // A server that knows no observers opens a session of its own for one.
  if (isObserver && answer.environmentInfo?.capabilities?.observers !== true) return unsupported("observers");
  if (asked !== undefined && asked !== answer.sessionId) {
    return new ExecError(
      "protocol",
      `server broke the protocol: session ${asked} was resumed as ${answer.sessionId}`,
    );
  }
  const old = wanted.type === "lost" ? wanted.peer.environment : UNKNOWN_ENVIRONMENT;
  return {
    sessionId: answer.sessionId,
    environment: answer.environmentInfo ?? old,
    limits: answer.limits,
    detachedLifetimeMs: answer.detachedLifetimeMs,
    isObserver,
  };
}

/** Why there is no answer on a connection that is gone. */
export function lostError(end: LinkEnd): ExecError {
  switch (end.type) {
    case "lost":
      return new ExecError("disconnected", `connection was lost: ${end.reason}`);
    case "takenOver":
      return new ExecError("takenOver", end.reason, {
        hint: "it goes on there; connect again for a session of your own",
      });
    case "observedEnded":
      return new ExecError("sessionLost", end.reason, {
        hint: "its processes are gone, and so is what they said",
      });
    case "violation":
      return new ExecError("protocol", `server broke the protocol: ${end.reason}`, {
        hint: "is it a codex-exec-server, and is it the right port?",
      });
  }
}

function initializeRefusal(error: RpcError, wanted: Wanted): ExecError {
  const session = wantedId(wanted);
  if (session === undefined) return refusal("initialize", error);
  if (error.code === ERROR_CODES.sessionInUse) {
    return new ExecError("sessionInUse", `session ${session} is attached to another connection`, {
      code: error.code,
      hint: "pass takeover: true to take it over, or try again later",
    });
  }
  if (isObserved(wanted)) {
    const { code, message, data } = error;
    // It is there, and full.
    if (isObject(data) && typeof data["observersPerSession"] === "number") {
      const hint = "try again when somebody has left, or share an observer that there is";
      return new ExecError("refused", `session can't be observed: ${message}`, { code, data, hint });
    }
    return new ExecError("sessionLost", `session ${session} can't be observed: ${error.message}`, {
      code: error.code,
      hint: "ask whoever holds it for its present token",
    });
  }
  return new ExecError("sessionLost", `session ${session} can't be resumed: ${error.message}`, {
    code: error.code,
    hint: "its processes are gone; connect again without it",
  });
}

/** Whether trying again soon may help to get a session back. */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof ExecError)) return false;
  // In use: the server has not noticed yet that the old connection is gone.
  return ["connectFailed", "timeout", "disconnected", "sessionInUse"].includes(error.kind);
}
