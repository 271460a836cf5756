// JSON-RPC as this protocol speaks it: what a text is, and how requests and answers are written. Knows no method.

import type { RequestId, RpcError, TraceContext } from "../generated/types.js";

/** What one message says. */
export type Incoming =
  | {
      readonly kind: "request";
      readonly id: RequestId;
      readonly method: string;
      readonly params: unknown;
      readonly trace?: TraceContext;
    }
  | { readonly kind: "notification"; readonly method: string; readonly params: unknown }
  | { readonly kind: "result"; readonly id: RequestId; readonly result: unknown }
  | { readonly kind: "error"; readonly id: RequestId; readonly error: RpcError }
  | { readonly kind: "malformed"; readonly reason: string };

type Members = Readonly<Record<string, unknown>>;

/** Whether a value is a JSON object. */
export function isObject(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function malformed(reason: string): Incoming {
  return { kind: "malformed", reason };
}

/** Reads one message. Whatever it is, there is an answer; nothing is thrown. */
export function parseMessage(text: string): Incoming {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch (error) {
    return malformed(error instanceof Error ? error.message : "no JSON");
  }
  if (!isObject(message)) return malformed("a message is an object");
  const { method, params, trace } = message;
  // Minus zero is zero.
  const id = message["id"] === 0 ? 0 : message["id"];
  const hasId = Object.hasOwn(message, "id");
  if (hasId && typeof id !== "string" && !Number.isInteger(id)) {
    return malformed("an id is a text or a whole number");
  }
  if (Object.hasOwn(message, "method")) {
    if (typeof method !== "string") return malformed("a method is a text");
    if (!hasId) return { kind: "notification", method, params };
    if (trace !== undefined && trace !== null && !isTrace(trace))
      return malformed("a trace is made of texts");
    const request = { kind: "request", id: id as RequestId, method, params } as const;
    return isObject(trace) ? { ...request, trace: pickTrace(trace) } : request;
  }
  if (!hasId) return malformed("a message has a method or an id");
  if (Object.hasOwn(message, "result"))
    return { kind: "result", id: id as RequestId, result: message["result"] };
  const error = message["error"];
  if (!isObject(error)) return malformed("an answer has a result or an error");
  if (!Number.isInteger(error["code"]) || typeof error["message"] !== "string") {
    return malformed("an error has a code and a message");
  }
  const said = { code: error["code"] as number, message: error["message"] };
  const data = error["data"];
  return {
    kind: "error",
    id: id as RequestId,
    error: data === undefined || data === null ? said : { ...said, data },
  };
}

function isTrace(trace: unknown): trace is Members {
  if (!isObject(trace)) return false;
  return [trace["traceparent"], trace["tracestate"]].every(
    (text) => text === undefined || text === null || typeof text === "string",
  );
}

function pickTrace(trace: Members): TraceContext {
  const { traceparent, tracestate } = trace;
  return {
    ...(typeof traceparent === "string" && { traceparent }),
    ...(typeof tracestate === "string" && { tracestate }),
  };
}

/** Writes a request. */
export function encodeRequest(id: number, method: string, params: unknown): string {
  return JSON.stringify({ id, method, params });
}

/** Writes a notification. */
export function encodeNotification(method: string, params: unknown): string {
  return JSON.stringify({ method, params });
}

/** Writes the refusal of a request. */
export function encodeError(id: RequestId, error: RpcError): string {
  return JSON.stringify({ error, id });
}

/** Writes the answer to a request. */
export function encodeResult(id: RequestId, result: unknown): string {
  return JSON.stringify({ id, result });
}
