// The shared examples of schema/vectors/: this implementation takes each message, and each order of arrival, as they say.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Acknowledging, type At } from "../../src/core/acknowledging.js";
import { decodeBase64 } from "../../src/core/base64.js";
import { type Incoming, parseMessage } from "../../src/core/message.js";
import { Sequencer } from "../../src/core/sequencer.js";
import { CLIENT_NOTIFICATION_METHODS, SERVER_NOTIFICATION_METHODS } from "../../src/generated/methods.js";
import { readProcessPush } from "../../src/rpc/notifications.js";

type Piece = string | { readonly repeat: string; readonly times: number };

interface Case {
  readonly name: string;
  readonly from: "client" | "server";
  readonly text?: string | readonly Piece[];
  readonly bytes?: string;
  readonly needs?: "int64" | "decoder";
  readonly expect: { readonly kind: string; readonly id?: unknown; readonly method?: string } & Record<
    string,
    unknown
  >;
}

function read<T>(name: string): readonly T[] {
  const url = new URL(`../../../schema/vectors/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(url, "utf8")) as T[];
}

function textOf({ text, bytes }: Case): string | undefined {
  if (typeof text === "string") return text;
  if (text !== undefined) {
    return text
      .map((piece) => (typeof piece === "string" ? piece : piece.repeat.repeat(piece.times)))
      .join("");
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(decodeBase64(bytes ?? "?"));
  } catch {
    return undefined;
  }
}

/** What only servers refuse, since they read what anyone sends; see schema/vectors/README.md. */
const SERVERS_ONLY = /key twice|too deep|value too many|half (of )?a surrogate pair/;

function check({ expect: expected }: Case, found: Incoming): void {
  switch (expected.kind) {
    case "request":
      expect(found).toMatchObject({ kind: "request", id: expected.id, method: expected.method });
      if (expected["trace"] !== undefined) expect(found).toMatchObject({ trace: expected["trace"] });
      break;
    case "refused":
      expect(found).toMatchObject({ kind: "request", id: expected.id });
      break;
    case "notification":
    case "unknownNotification":
    case "badNotification":
      expect(found).toMatchObject({ kind: "notification", method: expected.method });
      break;
    case "result":
      expect(found).toMatchObject({ kind: "result", id: expected.id });
      break;
    case "error":
      expect(found).toEqual({ kind: "error", id: expected.id, error: expected["error"] });
      break;
    case "malformed":
      expect(found.kind).toBe("malformed");
      break;
    default:
      throw new Error(`unknown kind ${expected.kind}`);
  }
}

describe.each(["requests", "refused", "notifications", "responses", "malformed"])("%s", (file) => {
  const cases = read<Case>(file).filter((example) => example.needs !== "int64");
  test.each(cases.map((example) => [example.name, example] as const))("%s", (name, example) => {
    const text = textOf(example);
    if (text === undefined) return expect(example.expect.kind).toBe("malformed");
    if (example.expect.kind === "malformed" && example.from === "client" && SERVERS_ONLY.test(name)) return;
    const found = parseMessage(text);
    check(example, found);
    if (found.kind !== "notification") return;
    const known = example.from === "client" ? CLIENT_NOTIFICATION_METHODS : SERVER_NOTIFICATION_METHODS;
    const isKnown = (known as readonly string[]).includes(found.method);
    expect(isKnown).toBe(example.expect.kind !== "unknownNotification");
    if (!/^process\/(output|exited|closed)$/.test(found.method)) return;
    const isGood = typeof readProcessPush(found.method, found.params) !== "string";
    expect(isGood).toBe(example.expect.kind === "notification");
  });
});

interface Step {
  readonly arrive?: number;
  readonly skipThrough?: number;
  readonly deliver?: readonly number[];
  readonly missing?: number;
}

interface Order {
  readonly name: string;
  readonly limit: number;
  readonly steps: readonly Step[];
  readonly delivered: number;
  readonly gap: boolean;
}

test.each(read<Order>("ordering").map((order) => [order.name, order] as const))(
  "order: %s",
  (_name, order) => {
    const sequencer = new Sequencer<number>(order.limit);
    for (const { arrive, skipThrough, deliver, missing } of order.steps) {
      if (skipThrough !== undefined) expect(sequencer.skipThrough(skipThrough)).toEqual(deliver);
      else expect(sequencer.accept(arrive!, arrive!)).toEqual(missing === undefined ? deliver : { missing });
    }
    expect(sequencer.delivered).toBe(order.delivered);
    expect(sequencer.hasGap).toBe(order.gap);
  },
);

type Position = readonly [seq: number, cost: number | null];

interface Acknowledgements {
  readonly name: string;
  readonly every: number | null;
  readonly steps: ReadonlyArray<
    | { readonly beginAgain: true }
    | { readonly slowest: Position; readonly furthest: Position; readonly say?: true; readonly due?: boolean }
  >;
}

test.each(read<Acknowledgements>("acknowledging").map((example) => [example.name, example] as const))(
  "acknowledging: %s",
  (_name, { every, steps }) => {
    const at = ([seq, cost]: Position): At => ({ seq, cost: cost ?? undefined });
    const acknowledging = new Acknowledging();
    acknowledging.every = every ?? undefined;
    for (const step of steps) {
      if ("beginAgain" in step) {
        acknowledging.beginAgain();
        continue;
      }
      const now = { slowest: at(step.slowest), furthest: at(step.furthest) };
      if (step.say) acknowledging.say(now);
      else expect(acknowledging.isDue(now), JSON.stringify(step)).toBe(step.due);
    }
  },
);
