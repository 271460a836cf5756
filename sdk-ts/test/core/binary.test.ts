// The shared examples of schema/vectors/binary.json: each message says what its JSON would say, or is refused as they say.

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { encodeBase64 } from "../../src/core/base64.js";
import { type BinaryMessage, decodeBinary, isBinaryMessage } from "../../src/core/binary.js";

interface Case {
  readonly name: string;
  readonly hex: string;
  readonly needs?: string;
  readonly says?: object;
  readonly offset?: number;
  readonly fault?: string;
}

const url = new URL("../../../schema/vectors/binary.json", import.meta.url);
const cases = (JSON.parse(readFileSync(url, "utf8")) as Case[]).filter(({ needs }) => needs !== "int64");

/** The JSON message that a binary one stands for. */
function json(message: BinaryMessage): object {
  switch (message.kind) {
    case "output": {
      const { processId, seq, stream, offset, bytes } = message;
      return {
        method: "process/output",
        params: { processId, seq, stream, chunk: encodeBase64(bytes), offset },
      };
    }
    case "body": {
      const { requestId, seq, done, bytes } = message;
      const params = { requestId, seq, deltaBase64: encodeBase64(bytes), done, error: null };
      return { method: "http/request/bodyDelta", params };
    }
    case "block":
      return { id: message.id, result: { chunk: encodeBase64(message.bytes), eof: message.eof } };
    case "range": {
      const { id, eof, size, etag, bytes } = message;
      return { id, result: { dataBase64: encodeBase64(bytes), eof, size, etag } };
    }
    case "pack":
      return message.records.map(json);
    case "fault":
      return { fault: message.fault };
  }
}

test.each(cases.map((example) => [example.name, example] as const))("%s", (_name, example) => {
  const message = decodeBinary(new Uint8Array(Buffer.from(example.hex, "hex")));
  if (example.fault !== undefined) return expect(message).toEqual({ kind: "fault", fault: example.fault });
  expect(json(message)).toEqual(example.says);
  if (example.offset !== undefined) expect(message).toMatchObject({ offset: example.offset });
});

test("JSON that comes as bytes is told from binary messages", () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  expect([bytes(""), bytes('{"id":1}'), bytes(" \n[]")].map(isBinaryMessage)).toEqual([false, false, false]);
  expect(isBinaryMessage(new Uint8Array([1]))).toBe(true);
});
