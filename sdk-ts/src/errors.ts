// The one error type that callers see: what happened, as a word to switch on, and what to do about it.

import { isObject } from "./core/message.js";
import { ERROR_CODES } from "./generated/constants.js";
import type { RpcError } from "./generated/types.js";

/**
 * What happened. Switch on this, never on a message.
 *
 * Connecting: `invalidUrl`, `unauthorized`, `forbidden`, `notAServer`, `connectFailed`, `timeout`, `protocol`.
 * Connections: `disconnected`, `sessionLost`, `sessionInUse`, `takenOver`, `closed`, `outcomeUnknown`.
 * Requests: `unsupported`, `invalidRequest`, `invalidParams`, `refused`, `cancelled`, `readOnly`, `notFound`, `permissionDenied`,
 * `alreadyExists`, `notADirectory`, `isADirectory`, `notEmpty`.
 * Processes: `processExists`, `unknownProcess`, `stdinClosed`, `gap`, `incomplete`, `outputTooLarge`.
 * Bodies and searches: `bodyLost`.
 * Use of this library: `invalidArgument`, `disposed`.
 */
export type ExecErrorKind =
  | "invalidUrl"
  | "unauthorized"
  | "forbidden"
  | "notAServer"
  | "connectFailed"
  | "timeout"
  | "protocol"
  | "disconnected"
  | "sessionLost"
  | "sessionInUse"
  | "takenOver"
  | "closed"
  | "outcomeUnknown"
  | "unsupported"
  | "invalidRequest"
  | "invalidParams"
  | "refused"
  | "cancelled"
  | "readOnly"
  | "notFound"
  | "permissionDenied"
  | "alreadyExists"
  | "notADirectory"
  | "isADirectory"
  | "notEmpty"
  | "processExists"
  | "unknownProcess"
  | "stdinClosed"
  | "gap"
  | "incomplete"
  | "outputTooLarge"
  | "bodyLost"
  | "invalidArgument"
  | "disposed";

/** What else is known of a failure. */
export interface ExecErrorDetails {
  /** What a person may do about it; appended to the message. */
  readonly hint?: string | undefined;
  /** The server's error code. */
  readonly code?: number | undefined;
  /** The system's name of the error, for example `ENOENT`. */
  readonly errno?: string | undefined;
  /** What the server said for programs. */
  readonly data?: unknown;
  readonly cause?: unknown;
}

/**
 * Why something came to nothing. Tell kinds apart by `kind`; `instanceof` breaks when a program holds two copies of this
 * library, for which {@link isExecError} is there. What a caller aborted rejects with its own `signal.reason` instead.
 */
export class ExecError extends Error {
  override readonly name = "ExecError";
  readonly kind: ExecErrorKind;
  /** What a person may do about it. */
  readonly hint: string | undefined;
  /** The server's error code, where a server refused. */
  readonly code: number | undefined;
  /** The system's name of the error, for example `ENOENT`. */
  readonly errno: string | undefined;
  /** What the server said for programs. */
  readonly data: unknown;

  constructor(kind: ExecErrorKind, message: string, details: ExecErrorDetails = {}) {
    const { hint, cause } = details;
    super(hint === undefined ? message : `${message}; ${hint}`, cause === undefined ? {} : { cause });
    this.kind = kind;
    this.hint = hint;
    this.code = details.code;
    this.errno = details.errno;
    this.data = details.data;
  }
}

/** Whether something is an {@link ExecError}, of this copy of the library or another; of one `kind`, if that is given. */
export function isExecError(error: unknown, kind?: ExecErrorKind): error is ExecError {
  const isOurs = error instanceof Error && error.name === "ExecError" && "kind" in error;
  return isOurs && (kind === undefined || error.kind === kind);
}

const KIND_BY_ERRNO: Readonly<Record<string, ExecErrorKind>> = {
  ENOENT: "notFound",
  EACCES: "permissionDenied",
  EPERM: "permissionDenied",
  EROFS: "permissionDenied",
  EEXIST: "alreadyExists",
  ENOTDIR: "notADirectory",
  EISDIR: "isADirectory",
  ENOTEMPTY: "notEmpty",
};

/** Names of Linux's numbers, which the failure of a start has. */
const ERRNO_NAMES: Readonly<Record<number, string>> = {
  1: "EPERM",
  2: "ENOENT",
  8: "ENOEXEC",
  12: "ENOMEM",
  13: "EACCES",
  17: "EEXIST",
  20: "ENOTDIR",
  21: "EISDIR",
  30: "EROFS",
  36: "ENAMETOOLONG",
  39: "ENOTEMPTY",
  40: "ELOOP",
};

function errnoOf(data: unknown): string | undefined {
  if (!isObject(data)) return undefined;
  const { errno } = data;
  if (typeof errno === "string") return errno;
  return typeof errno === "number" ? ERRNO_NAMES[errno] : undefined;
}

const KIND_BY_CODE: Readonly<Record<number, ExecErrorKind>> = {
  [ERROR_CODES.invalidRequest]: "invalidRequest",
  [ERROR_CODES.methodNotFound]: "unsupported",
  [ERROR_CODES.invalidParams]: "invalidParams",
  [ERROR_CODES.notFound]: "notFound",
  [ERROR_CODES.sessionInUse]: "sessionInUse",
  [ERROR_CODES.cancelled]: "cancelled",
};

/** What a server's refusal of `method` means. */
export function refusal(method: string, error: RpcError): ExecError {
  const { code, message, data } = error;
  if (isObject(data) && data["readOnly"] === true)
    return new ExecError("readOnly", `${method}: ${message}`, { code, data });
  const errno = errnoOf(data);
  const byErrno = errno === undefined ? undefined : KIND_BY_ERRNO[errno];
  const kind = byErrno ?? KIND_BY_CODE[code] ?? "refused";
  const hint =
    code === ERROR_CODES.methodNotFound
      ? "this server is too old for it; see client.server.capabilities"
      : undefined;
  return new ExecError(kind, `${method}: ${message}`, { code, errno, data, hint });
}

/** A feature that the server does not have; `flag` is the capability's name. */
export function unsupported(flag: string): ExecError {
  return new ExecError("unsupported", `server does not support ${flag}`, {
    hint: "ask client.supports() first, or use a newer server",
  });
}
