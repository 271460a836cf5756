// The same checksum where WebAssembly is at hand: what comes is folded onto its last few kilobytes, and only those, at the
// end, are looked up in tables. That takes an eighth of the time. See kernel/build.mjs for how.
//
// Not for pages: a content security policy may refuse WebAssembly, and a browser tells everybody when it does.

import { decodeBase64 } from "./base64.js";
import { crc32c as byTables, IS_LITTLE_ENDIAN } from "./crc32c.js";
import { KERNEL, REST_BYTES, STEP_BYTES } from "./crc32c_kernel.js";

export { formatCrc32c } from "./crc32c.js";

/** Where folding pays. What is left of a message is 3 KiB. */
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

/** The kernel's memory, which holds the rest of one checksum at a time: whose turn it was last. */
export class Folding {
  readonly #kernel: Kernel;
  readonly #memory: Uint8Array;
  readonly #words: Int32Array;
  #owner: Crc32c | undefined;
  /** How much of its owner's bytes stand in the memory, behind what has to be zero. */
  #bytes = 0;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#memory = new Uint8Array(kernel.memory.buffer);
    this.#words = new Int32Array(kernel.memory.buffer);
  }

  /** Takes the next bytes of `owner`, which are many if it is another one than before. */
  add(owner: Crc32c, bytes: Uint8Array): void {
    const isNew = this.#owner !== owner;
    if (isNew) {
      this.#owner?.settle();
      this.#owner = owner;
    }
    for (let at = 0; at < bytes.length; ) {
      const start = REST_BYTES + this.#bytes;
      const piece = bytes.subarray(at, at + this.#memory.length - start);
      this.#memory.set(piece, start);
      // What came before changes the first word alone.
      if (isNew && at === 0) this.#words[REST_BYTES >> 2]! ^= ~owner.settled;
      at += piece.length;
      this.#bytes += piece.length;
      // Little waits for more.
      if (at < bytes.length || this.#bytes >= LEAST_BYTES) this.#fold();
    }
  }

  /** The checksum of what was added for the owner, who is none any more. */
  take(): number {
    const crc = byTables(-1, this.#memory.subarray(REST_BYTES, REST_BYTES + this.#bytes));
    this.#bytes = 0;
    this.#owner = undefined;
    return crc;
  }

  #fold(): void {
    const folded = Math.floor((this.#bytes - REST_BYTES) / STEP_BYTES) * STEP_BYTES;
    this.#kernel.fold(0, folded);
    this.#memory.copyWithin(REST_BYTES, REST_BYTES + folded, REST_BYTES + this.#bytes);
    this.#bytes -= folded;
  }
}

/** Folding by WebAssembly; none where there is no such thing, or another one of the name, or it is refused. */
export function foldingBy(platform: Platform | undefined): Folding | undefined {
  try {
    if (platform === undefined) return undefined;
    return new Folding(new platform.Instance(new platform.Module(decodeBase64(KERNEL)!)).exports as Kernel);
  } catch {
    return undefined;
  }
}

/** A Node has it; what else goes by its name may not. The words of its memory are little-endian. */
const available = IS_LITTLE_ENDIAN
  ? (globalThis as { readonly WebAssembly?: Platform }).WebAssembly
  : undefined;
let made: { readonly folding: Folding | undefined } | undefined;

/** What there is here, made at the first use. */
function here(): Folding | undefined {
  made ??= { folding: foldingBy(available) };
  return made.folding;
}

/** The checksum of bytes that come one after the other. */
export class Crc32c {
  readonly #folding: () => Folding | undefined;
  /** Of what is not being folded. */
  settled: number;
  /** The rest is with the kernel. */
  #isFolded = false;

  /** Behind what has the checksum `before`. */
  constructor(before = 0, folding = here) {
    this.settled = before;
    this.#folding = folding;
  }

  add(bytes: Uint8Array): void {
    // Little is not worth it that another one has to leave.
    const folding = bytes.length >= LEAST_BYTES || this.#isFolded ? this.#folding() : undefined;
    if (folding === undefined) this.settled = byTables(this.settled, bytes);
    else {
      folding.add(this, bytes);
      this.#isFolded = true;
    }
  }

  /** Of all so far. */
  get value(): number {
    this.settle();
    return this.settled;
  }

  /** Takes what is being folded out of it. */
  settle(): void {
    if (!this.#isFolded) return;
    this.#isFolded = false;
    this.settled = this.#folding()?.take() ?? this.settled;
  }
}
