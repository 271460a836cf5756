// Whatever befalls connections, in whatever order it is heard of.

import fc from "fast-check";
import { expect, test } from "vitest";
import { afterLoss, Reconnect } from "../../src/core/reconnect.js";

const PATIENCE = { deadlineMs: 45_000, pauseMs: 100 };

test("the first attempt follows at once and the others every 100 ms", () => {
  const reconnect = new Reconnect(PATIENCE);
  expect(reconnect.next(0)).toEqual({ do: "rest" });
  expect(reconnect.lost(0, 1)).toBe(true);
  expect(reconnect.next(0)).toEqual({ do: "try", until: 45_000 });
  expect(reconnect.attemptFailed(7, "transient")).toBe(false);
  expect(reconnect.next(7)).toEqual({ do: "wait", until: 107 });
  expect(reconnect.next(107)).toEqual({ do: "try", until: 45_000 });
  expect(reconnect.restored()).toBe(2);
  expect(reconnect.phase).toEqual({ status: "connected", generation: 2 });
});

test("a late word of an earlier connection changes nothing", () => {
  const reconnect = new Reconnect(PATIENCE);
  expect(reconnect.lost(0, 1)).toBe(true);
  expect(reconnect.lost(0, 1)).toBe(false);
  reconnect.restored();
  expect(reconnect.lost(0, 1)).toBe(false);
  expect(reconnect.phase).toEqual({ status: "connected", generation: 2 });
  expect(reconnect.lost(0, 2)).toBe(true);
});

test("it is given up at the deadline, or when no attempt fits before it", () => {
  const reconnect = new Reconnect(PATIENCE);
  reconnect.lost(0, 1);
  reconnect.attemptFailed(44_950, "transient");
  expect(reconnect.next(44_950)).toEqual({ do: "giveUp" });
});

test("progress begins the deadline anew", () => {
  const reconnect = new Reconnect(PATIENCE);
  reconnect.lost(0, 1);
  reconnect.progressed(44_999);
  reconnect.attemptFailed(44_999, "transient");
  expect(reconnect.next(44_999)).toEqual({ do: "wait", until: 45_099 });
  expect(reconnect.next(44_999 + 45_000)).toEqual({ do: "giveUp" });
});

test("nothing comes back from a failure", () => {
  const reconnect = new Reconnect(PATIENCE);
  reconnect.lost(0, 1);
  expect(reconnect.attemptFailed(0, "final")).toBe(true);
  reconnect.fail();
  expect(reconnect.restored()).toBeUndefined();
  expect(reconnect.lost(0, 1)).toBe(false);
  expect(reconnect.next(0)).toEqual({ do: "rest" });
});

test("only what did not arrive or does no harm is sent again", () => {
  expect(afterLoss("ifUnsent", true)).toBe("unknown");
  expect(afterLoss("ifUnsent", false)).toBe("sendAgain");
  expect(afterLoss("always", true)).toBe("sendAgain");
});

test("generations only grow, and no recovery outlives its deadline", () => {
  const happening = fc.oneof(
    fc.nat(20_000).map((passed) => ({ type: "time", passed }) as const),
    fc.integer({ min: 1, max: 6 }).map((generation) => ({ type: "lost", generation }) as const),
    fc.constantFrom(...(["failed", "restored", "progress"] as const)).map((type) => ({ type })),
  );
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 80 }), (happenings) => {
      let [now, present, hopeSince] = [0, 1, 0];
      const reconnect = new Reconnect(PATIENCE);
      for (const happened of happenings) {
        const before = reconnect.phase;
        if (happened.type === "time") now += happened.passed;
        else if (happened.type === "lost") {
          const matters = reconnect.lost(now, happened.generation);
          expect(matters).toBe(before.status === "connected" && before.generation === happened.generation);
          if (matters) hopeSince = now;
        } else if (happened.type === "failed") reconnect.attemptFailed(now, "transient");
        else if (happened.type === "restored") {
          const generation = reconnect.restored();
          if (generation !== undefined) expect(generation).toBe(++present);
          else expect(before.status).toBe("connected");
        } else {
          reconnect.progressed(now);
          hopeSince = now;
        }
        const { phase } = reconnect;
        const step = reconnect.next(now);
        if (phase.status === "connected") {
          expect([phase.generation, step.do]).toEqual([present, "rest"]);
        } else if (phase.status === "recovering") {
          expect(phase.lost).toBe(present);
          expect(phase.until).toBeLessThanOrEqual(hopeSince + PATIENCE.deadlineMs);
          if (step.do === "try") expect(now < step.until && step.until === phase.until).toBe(true);
          else if (step.do === "wait") expect(now < step.until && step.until < phase.until).toBe(true);
          else expect(step.do === "giveUp" && now + PATIENCE.pauseMs >= phase.until).toBe(true);
        } else throw new Error("nothing failed it");
      }
    }),
  );
});
