// The checksum that proves that output is complete: CRC-32C (Castagnoli), sixteen bytes at a time.

const POLYNOMIAL = 0x82f63b78;
/** Where reading whole words pays. */
const MIN_BYTES_FOR_WORDS = 64;
/** Words of memory are read as the tables expect them. */
export const IS_LITTLE_ENDIAN = new Uint8Array(Uint32Array.of(1).buffer)[0] === 1;

/** Sixteen tables of 256, one behind the other, made at the first use. Signed, since engines compute with nothing else as fast. */
let tables: Int32Array | undefined;

function makeTables(): Int32Array {
  const made = new Int32Array(16 * 256);
  for (let n = 0; n < 256; n++) {
    let crc = n;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    made[n] = crc;
  }
  for (let n = 256; n < made.length; n++) {
    const before = made[n - 256]!;
    made[n] = (before >>> 8) ^ made[before & 255]!;
  }
  return made;
}

/** Extends `crc`, the checksum of what came before (0 of nothing), by `bytes`. */
export function crc32c(crc: number, bytes: Uint8Array): number {
  tables ??= makeTables();
  const t = tables;
  let c = ~crc;
  let at = 0;
  if (bytes.length >= MIN_BYTES_FOR_WORDS && IS_LITTLE_ENDIAN) {
    // Words are read where words begin.
    for (const start = -bytes.byteOffset & 3; at < start; at++) c = (c >>> 8) ^ t[(c ^ bytes[at]!) & 255]!;
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, ((bytes.length - at) >>> 4) << 2);
    c = ofWords(c, words, t);
    at += words.byteLength;
  }
  for (; at < bytes.length; at++) c = (c >>> 8) ^ t[(c ^ bytes[at]!) & 255]!;
  return ~c >>> 0;
}

/** Takes four words at a time: the bytes of the first are followed by fifteen to twelve others, and so on. */
function ofWords(before: number, words: Int32Array, t: Int32Array): number {
  let c = before;
  for (let at = 0; at < words.length; at += 4) {
    const w0 = c ^ words[at]!;
    const w1 = words[at + 1]!;
    const w2 = words[at + 2]!;
    const w3 = words[at + 3]!;
    c =
      t[0xf00 | (w0 & 255)]! ^
      t[0xe00 | ((w0 >>> 8) & 255)]! ^
      t[0xd00 | ((w0 >>> 16) & 255)]! ^
      t[0xc00 | (w0 >>> 24)]! ^
      t[0xb00 | (w1 & 255)]! ^
      t[0xa00 | ((w1 >>> 8) & 255)]! ^
      t[0x900 | ((w1 >>> 16) & 255)]! ^
      t[0x800 | (w1 >>> 24)]! ^
      t[0x700 | (w2 & 255)]! ^
      t[0x600 | ((w2 >>> 8) & 255)]! ^
      t[0x500 | ((w2 >>> 16) & 255)]! ^
      t[0x400 | (w2 >>> 24)]! ^
      t[0x300 | (w3 & 255)]! ^
      t[0x200 | ((w3 >>> 8) & 255)]! ^
      t[0x100 | ((w3 >>> 16) & 255)]! ^
      t[w3 >>> 24]!;
  }
  return c;
}

/** The checksum of bytes that come one after the other. */
export class Crc32c {
  #crc: number;

  /** Behind what has the checksum `before`. */
  constructor(before = 0) {
    this.#crc = before;
  }

  add(bytes: Uint8Array): void {
    this.#crc = crc32c(this.#crc, bytes);
  }

  /** Of all so far. */
  get value(): number {
    return this.#crc;
  }
}

/** As the protocol writes a checksum: eight lower-case hex digits. */
export function formatCrc32c(crc: number): string {
  return crc.toString(16).padStart(8, "0");
}
