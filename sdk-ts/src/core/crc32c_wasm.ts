// The same checksum where WebAssembly is at hand: a message is folded onto its last few kilobytes first, which takes a sixth
// of the time. See kernel/build.mjs for how.
//
// Not for pages: a content security policy may refuse WebAssembly, and a browser tells everybody when it does.

import { decodeBase64 } from "./base64.js";
import { crc32c as byTables, IS_LITTLE_ENDIAN } from "./crc32c.js";
import { KERNEL, REST_BYTES, STEP_BYTES } from "./crc32c_kernel.js";

export { formatCrc32c } from "./crc32c.js";

/** Where folding pays. */
const LEAST_BYTES = 8 << 10;

/** As much of WebAssembly as is used here. */
interface Platform {
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (module: object) => { readonly exports: object };
}

interface Kernel {
  /** What the kernel sees. */
  readonly memory: { readonly buffer: ArrayBuffer };
  /** Folds what stands from REST_BYTES to `end` + REST_BYTES onto the REST_BYTES behind that; `at` is 0. */
  fold(at: number, end: number): void;
}

/** Computes checksums. */
export type Checksum = (crc: number, bytes: Uint8Array) => number;

/** Checksums by WebAssembly; by tables where there is none, or none of the kind, or it is refused. */
export function checksumBy(platform: Platform | undefined): Checksum {
  let kernel: Kernel;
  try {
    if (platform === undefined) return byTables;
    kernel = new platform.Instance(new platform.Module(decodeBase64(KERNEL)!)).exports as Kernel;
  } catch {
    return byTables;
  }
  const memory = new Uint8Array(kernel.memory.buffer);
  const words = new Int32Array(kernel.memory.buffer);
  /** Bytes that find room behind what has to be zero. */
  const room = memory.length - REST_BYTES;
  return (before, bytes) => {
    let crc = before;
    let at = 0;
    for (let left = bytes.length; left >= LEAST_BYTES; left = bytes.length - at) {
      const folded = Math.floor((Math.min(left, room) - REST_BYTES) / STEP_BYTES) * STEP_BYTES;
      const taken = folded + REST_BYTES;
      memory.set(bytes.subarray(at, at + taken), REST_BYTES);
      // What came before changes the first word alone.
      words[REST_BYTES >> 2]! ^= ~crc;
      kernel.fold(0, folded);
      crc = byTables(-1, memory.subarray(taken, taken + REST_BYTES));
      at += taken;
    }
    return byTables(crc, bytes.subarray(at));
  };
}

/** A Node has it; what else goes by its name may not. The words of its memory are little-endian. */
const available = IS_LITTLE_ENDIAN
  ? (globalThis as { readonly WebAssembly?: Platform }).WebAssembly
  : undefined;
let checksum: Checksum | undefined;

/** Extends `crc`, the checksum of what came before (0 of nothing), by `bytes`. */
export function crc32c(crc: number, bytes: Uint8Array): number {
  if (bytes.length < LEAST_BYTES) return byTables(crc, bytes);
  checksum ??= checksumBy(available);
  return checksum(crc, bytes);
}
