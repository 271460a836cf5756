// The checksum that proves that output is complete: CRC-32C (Castagnoli), eight bytes at a time.

const POLYNOMIAL = 0x82f63b78;

/** Tables for eight bytes, made at the first use. */
let tables: Uint32Array[] | undefined;

function makeTables(): Uint32Array[] {
  const made = Array.from({ length: 8 }, () => new Uint32Array(256));
  const first = made[0]!;
  for (let n = 0; n < 256; n++) {
    let crc = n;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    first[n] = crc >>> 0;
  }
  for (let table = 1; table < 8; table++) {
    const before = made[table - 1]!;
    for (let n = 0; n < 256; n++) made[table]![n] = (before[n]! >>> 8) ^ first[before[n]! & 255]!;
  }
  return made;
}

/** Extends `crc`, the checksum of what came before (0 of nothing), by `bytes`. */
export function crc32c(crc: number, bytes: Uint8Array): number {
  tables ??= makeTables();
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
  ];
  let c = ~crc;
  let at = 0;
  for (const end = bytes.length - 7; at < end; at += 8) {
    c ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    c =
      t7[c & 255]! ^
      t6[(c >>> 8) & 255]! ^
      t5[(c >>> 16) & 255]! ^
      t4[c >>> 24]! ^
      t3[bytes[at + 4]!]! ^
      t2[bytes[at + 5]!]! ^
      t1[bytes[at + 6]!]! ^
      t0[bytes[at + 7]!]!;
  }
  for (; at < bytes.length; at++) c = (c >>> 8) ^ t0[(c ^ bytes[at]!) & 255]!;
  return ~c >>> 0;
}

/** As the protocol writes a checksum: eight lower-case hex digits. */
export function formatCrc32c(crc: number): string {
  return crc.toString(16).padStart(8, "0");
}
