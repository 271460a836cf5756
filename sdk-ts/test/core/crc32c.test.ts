// Checksums against their definition, by tables and by WebAssembly.

import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { source } from "../../kernel/build.mjs";
import { Crc32c as ByTables, crc32c as byTables, formatCrc32c } from "../../src/core/crc32c.js";
import { Crc32c, foldingBy } from "../../src/core/crc32c_wasm.js";

/** By the definition. */
function byBits(crc: number, bytes: Uint8Array): number {
  let whole = ~crc;
  for (const byte of bytes) {
    whole ^= byte;
    for (let bit = 0; bit < 8; bit++) whole = whole & 1 ? (whole >>> 1) ^ 0x82f63b78 : whole >>> 1;
  }
  return ~whole >>> 0;
}

const folding = foldingBy(WebAssembly as never);
class Folded extends Crc32c {
  constructor(before = 0) {
    super(before, () => folding);
  }
}

/** Of `pieces`, behind what has the checksum `before`. */
function checksum(
  Checksum: typeof ByTables | typeof Crc32c,
  before: number,
  ...pieces: Uint8Array[]
): number {
  const sum = new Checksum(before);
  for (const piece of pieces) sum.add(piece);
  return sum.value;
}

describe.each([
  ["tables", ByTables],
  ["WebAssembly", Folded],
  ["what Node uses", Crc32c],
])("a checksum by %s", (_, Checksum) => {
  test("is that of the standard", () => {
    expect(formatCrc32c(checksum(Checksum, 0, new TextEncoder().encode("123456789")))).toBe("e3069283");
  });

  test("is that of the definition, for bytes of any kind and length, wherever they stand, in however many pieces", () => {
    const lengths = fc.oneof(fc.nat(300), fc.integer({ min: 8000, max: 9000 }), fc.nat(20_000));
    fc.assert(
      fc.property(
        lengths,
        fc.nat(31),
        fc.integer(),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (length, start, seed, cut) => {
          const memory = new Uint8Array(start + length + 7);
          let x = seed | 1;
          for (let at = 0; at < memory.length; at++) {
            x ^= x << 13;
            x ^= x >>> 17;
            x ^= x << 5;
            memory[at] = x;
          }
          const bytes = memory.subarray(start, start + length);
          const before = seed >>> 0;
          const whole = byBits(before, bytes);
          expect(checksum(Checksum, before, bytes)).toBe(whole);
          const at = Math.floor(cut * length);
          expect(checksum(Checksum, before, bytes.subarray(0, at), bytes.subarray(at))).toBe(whole);
        },
      ),
      { numRuns: 150 },
    );
  });
});

test("of more than the kernel's memory, and of every length about each of its bounds, it is what the tables say", () => {
  const bytes = Uint8Array.from({ length: 300_000 }, (_, n) => (n * 2654435761) >>> 13);
  const room = 2 * 65_536 - 3344;
  const about = (length: number): number[] => Array.from({ length: 140 }, (_, n) => length - 70 + n);
  for (const length of [...about(8192), ...about(65_536), ...about(room), ...about(2 * room), 300_000]) {
    const piece = bytes.subarray(0, length);
    if (checksum(Folded, 7, piece) !== byTables(7, piece)) expect.fail(`wrong for ${length} bytes`);
  }
});

test("a bit that is wrong, wherever it is, is found", () => {
  const bytes = new Uint8Array(65_536);
  const right = checksum(Folded, 0, bytes);
  fc.assert(
    fc.property(fc.nat(65_535), fc.nat(7), (at, bit) => {
      bytes[at] = 1 << bit;
      const wrong = checksum(Folded, 0, bytes);
      bytes[at] = 0;
      expect(wrong).not.toBe(right);
    }),
  );
});

test("several that grow in turn, by much and by little, do not disturb each other, nor does looking at one", () => {
  const step = fc.tuple(fc.nat(2), fc.oneof(fc.nat(300), fc.nat(20_000), fc.nat(200_000)), fc.boolean());
  const source = Uint8Array.from({ length: 200_000 }, (_, n) => (n * 2654435761) >>> 11);
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const sums = [1, 2, 3].map((before) => ({ folded: new Folded(before), tables: new ByTables(before) }));
      for (const [which, length, looks] of steps) {
        const { folded, tables } = sums[which]!;
        folded.add(source.subarray(0, length));
        tables.add(source.subarray(0, length));
        if (looks) expect(folded.value).toBe(tables.value);
      }
      for (const { folded, tables } of sums) expect(folded.value).toBe(tables.value);
    }),
    { numRuns: 60 },
  );
});

test("where WebAssembly is missing or refused, tables do it", () => {
  expect(foldingBy(undefined)).toBe(undefined);
  class Refused {
    constructor() {
      throw new EvalError("Refused to compile WebAssembly");
    }
  }
  expect(foldingBy({ Module: Refused, Instance: Refused } as never)).toBe(undefined);
  const bytes = Uint8Array.from({ length: 30_000 }, (_, n) => n);
  const sum = new Crc32c(0, () => undefined);
  sum.add(bytes);
  expect(sum.value).toBe(byTables(0, bytes));
});

test("the kernel is the one that kernel/build.mjs writes: run `npm run kernel`", () => {
  const path = new URL("../../src/core/crc32c_kernel.ts", import.meta.url);
  expect(readFileSync(path, "utf8")).toBe(source());
});
