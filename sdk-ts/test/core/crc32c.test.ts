// Checksums against their definition, by tables and by WebAssembly.

import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { source } from "../../kernel/build.mjs";
import { crc32c as byTables, formatCrc32c } from "../../src/core/crc32c.js";
import { checksumBy, crc32c } from "../../src/core/crc32c_wasm.js";

/** By the definition. */
function byBits(crc: number, bytes: Uint8Array): number {
  let whole = ~crc;
  for (const byte of bytes) {
    whole ^= byte;
    for (let bit = 0; bit < 8; bit++) whole = whole & 1 ? (whole >>> 1) ^ 0x82f63b78 : whole >>> 1;
  }
  return ~whole >>> 0;
}

const kernel = checksumBy(WebAssembly as never);

describe.each([
  ["tables", byTables],
  ["WebAssembly", kernel],
  ["what Node uses", crc32c],
])("a checksum by %s", (_, checksum) => {
  test("is that of the standard", () => {
    expect(formatCrc32c(checksum(0, new TextEncoder().encode("123456789")))).toBe("e3069283");
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
          expect(checksum(before, bytes)).toBe(whole);
          const at = Math.floor(cut * length);
          expect(checksum(checksum(before, bytes.subarray(0, at)), bytes.subarray(at))).toBe(whole);
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
    if (kernel(7, piece) !== byTables(7, piece)) expect.fail(`wrong for ${length} bytes`);
  }
});

test("a bit that is wrong, wherever it is, is found", () => {
  const bytes = new Uint8Array(65_536);
  const right = kernel(0, bytes);
  fc.assert(
    fc.property(fc.nat(65_535), fc.nat(7), (at, bit) => {
      bytes[at] = 1 << bit;
      const wrong = kernel(0, bytes);
      bytes[at] = 0;
      expect(wrong).not.toBe(right);
    }),
  );
});

test("where WebAssembly is missing or refused, tables do it", () => {
  expect(checksumBy(undefined)).toBe(byTables);
  class Refused {
    constructor() {
      throw new EvalError("Refused to compile WebAssembly");
    }
  }
  expect(checksumBy({ Module: Refused, Instance: Refused } as never)).toBe(byTables);
});

test("the kernel is the one that kernel/build.mjs writes: run `npm run kernel`", () => {
  const path = new URL("../../src/core/crc32c_kernel.ts", import.meta.url);
  expect(readFileSync(path, "utf8")).toBe(source());
});
