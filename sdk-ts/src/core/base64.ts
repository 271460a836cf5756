// Bytes as the protocol writes them in JSON: standard base64 with padding, in its one spelling.

interface NativeBase64 {
  fromBase64?(text: string, options?: { lastChunkHandling?: "strict" }): Uint8Array<ArrayBuffer>;
}
interface NodeBuffer {
  from(data: string, encoding: "base64"): Uint8Array<ArrayBuffer>;
  from(data: ArrayBufferLike, offset: number, length: number): { toString(encoding: "base64"): string };
}

/** Node's `Buffer` where there is one, looked up so that bundles for browsers do not bring a copy along. */
const buffer = (globalThis as { Buffer?: NodeBuffer }).Buffer;
const native = Uint8Array as unknown as NativeBase64;

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** The decoded bytes, or `undefined` if the text is not the one spelling of some bytes. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length % 4 !== 0) return undefined;
  if (text.length === 0) return new Uint8Array(0);
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const length = (text.length / 4) * 3 - padding;
  if (padding > 0) {
    // Bits of the last symbol that belong to no byte must be zero.
    const last = ALPHABET.indexOf(text.charAt(text.length - padding - 1));
    if (last < 0 || (last & (padding === 2 ? 15 : 3)) !== 0) return undefined;
  }
  const bytes = decode(text);
  // Decoders that skip what they do not know come out short.
  if (bytes === undefined || bytes.length !== length) return undefined;
  return /[-_\s]/.test(text) ? undefined : bytes;
}

function decode(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (buffer !== undefined) {
    const { buffer: memory, byteOffset, byteLength } = buffer.from(text, "base64");
    return new Uint8Array(memory, byteOffset, byteLength);
  }
  try {
    if (native.fromBase64 !== undefined) return native.fromBase64(text, { lastChunkHandling: "strict" });
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
    return bytes;
  } catch {
    return undefined;
  }
}

/** Writes bytes as base64. */
export function encodeBase64(bytes: Uint8Array): string {
  if (buffer !== undefined) {
    return buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
  }
  let binary = "";
  // In pieces, since arguments of a call are limited in number.
  for (let at = 0; at < bytes.length; at += 0x8000) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return btoa(binary);
}
