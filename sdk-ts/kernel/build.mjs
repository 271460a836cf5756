// Writes src/core/crc32c_kernel.ts, the WebAssembly with which src/core/crc32c_wasm.ts computes checksums: `npm run kernel`.
//
// WebAssembly has no instruction for CRC-32C, and tables cost a read of memory for each byte. So most of a message is folded
// onto its end first, sixteen bytes at a time with nothing but exclusive ors, which leaves its checksum as it is. Seen as
// polynomials over two elements, a message has the same remainder by the CRC's polynomial P when a multiple of P is added.
// P divides M = x^209 + x^144 + x^54 + x^39 + x^14 + 1, which among its multiples with six terms has the least degree; so it
// divides M(x^128), which is M to the power of 128. That is: a block of 128 bits may be taken away from where it stands, if
// it is added to those that stand 65, 155, 170, 195 and 209 blocks behind it. test/core/crc32c.test.ts holds all of it
// against the definition.

import { writeFileSync } from "node:fs";

const BLOCK_BYTES = 16;
/** To which blocks behind a block it is added. */
const DISTANCES = [65, 155, 170, 195, 209];
/** What is left of a message. As much before it is zero, so that its beginning is no special case. */
const REST_BYTES = DISTANCES.at(-1) * BLOCK_BYTES;
const PAGES = 2;
/** Blocks that are folded in one round of the loop; fewer than the least distance. */
const BLOCKS_AT_ONCE = 4;

// A module is sections of vectors, and numbers are LEB128. Names as in the text format.
const leb = (n) => (n < 0x80 ? [n] : [(n & 0x7f) | 0x80, ...leb(n >>> 7)]);
const signedLeb = (n) => (n < 0x40 ? [n] : [(n & 0x7f) | 0x80, ...signedLeb(n >>> 7)]);
const sized = (bytes) => [...leb(bytes.length), ...bytes];
const vector = (items) => [...leb(items.length), ...items.flat()];
const section = (id, items) => [id, ...sized(vector(items))];
const name = (text) => sized([...new TextEncoder().encode(text)]);
const body = (code) => sized([...vector([]), ...code, 0x0b]);
const I32 = 0x7f;
const localGet = (n) => [0x20, n];
const localTee = (n) => [0x22, n];
const i32Const = (n) => [0x41, ...signedLeb(n)];
const v128Load = (offset) => [0xfd, 0x00, 4, ...leb(offset)];
const v128Store = (offset) => [0xfd, 0x0b, 4, ...leb(offset)];
const [I32_LT_U, I32_ADD, I32_SUB, V128_XOR] = [[0x49], [0x6a], [0x6b], [0xfd, 0x51]];
const call = (n) => [0x10, n];

/** Does `code` while local `at`, which goes on by `step` each time, is less than local `end`; once at least. */
const loop = (at, step, end, code) => [
  ...[0x03, 0x40],
  ...code,
  ...[...localGet(at), ...i32Const(step), ...I32_ADD, ...localTee(at)],
  ...[...localGet(end), ...I32_LT_U, 0x0d, 0],
  0x0b,
];

/** `add(at, end, back)`: adds to each block from `at` to `end` the one that stands `back` bytes before it. */
const ADD = 0;
function add() {
  const [at, end, back] = [0, 1, 2];
  const before = [...localGet(at), ...localGet(back), ...I32_SUB, ...v128Load(0)];
  const sum = [...localGet(at), ...v128Load(0), ...before, ...V128_XOR];
  return loop(at, BLOCK_BYTES, end, [...localGet(at), ...sum, ...v128Store(0)]);
}

/**
 * `fold(at, end)`: folds the blocks from `at` + REST_BYTES to `end` + REST_BYTES, a multiple of those at once, onto the
 * REST_BYTES behind them. Both are told less than they are, since offsets are not negative.
 */
function fold() {
  const [at, end] = [0, 1];
  const sum = (offset) => [
    ...localGet(at),
    ...[...localGet(at), ...v128Load(REST_BYTES + offset)],
    ...DISTANCES.flatMap((distance) => [
      ...[...localGet(at), ...v128Load(REST_BYTES - distance * BLOCK_BYTES + offset)],
      ...V128_XOR,
    ]),
    ...v128Store(REST_BYTES + offset),
  ];
  const round = Array.from({ length: BLOCKS_AT_ONCE }, (_, n) => sum(n * BLOCK_BYTES)).flat();
  /** Adds to the rest what of the folded blocks is that far before it. */
  const rest = (distance) => [
    ...[...localGet(end), ...i32Const(REST_BYTES), ...I32_ADD],
    ...[...localGet(end), ...i32Const(REST_BYTES + distance * BLOCK_BYTES), ...I32_ADD],
    ...[...i32Const(distance * BLOCK_BYTES), ...call(ADD)],
  ];
  return [...loop(at, BLOCK_BYTES * BLOCKS_AT_ONCE, end, round), ...DISTANCES.flatMap(rest)];
}

/** The module. It has a memory of its own. */
export function kernel() {
  const type = (parameters) => [0x60, ...vector(parameters.map(() => [I32])), ...vector([])];
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [type(["at", "end", "back"]), type(["at", "end"])]),
    ...section(3, [[0], [1]]),
    ...section(5, [[1, PAGES, PAGES]]),
    ...section(7, [
      [...name("memory"), 2, 0],
      [...name("fold"), 0, 1],
    ]),
    ...section(10, [body(add()), body(fold())]),
  ]);
}

/** The file that is written. */
export function source() {
  const lines = Buffer.from(kernel())
    .toString("base64")
    .match(/.{1,100}/g);
  return `// Written by kernel/build.mjs, which says what it is: run \`npm run kernel\`.

/** What is left of a message that was folded, and how much before it has to be zero. */
export const REST_BYTES = ${REST_BYTES};
/** What is folded is a multiple of this. */
export const STEP_BYTES = ${BLOCK_BYTES * BLOCKS_AT_ONCE};
/** The module, in base64. */
export const KERNEL =
${lines.map((line) => `  "${line}"`).join(" +\n")};
`;
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  writeFileSync(new URL("../src/core/crc32c_kernel.ts", import.meta.url), source());
}
