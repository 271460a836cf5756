// Bytes and paths: as the protocol spells them.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeBase64, encodeBase64 } from "../../src/core/base64.js";
import { fromPathUri, toPathUri } from "../../src/core/path_uri.js";

test("any bytes come back from base64 as they were", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      const text = encodeBase64(bytes);
      expect(text).toBe(Buffer.from(bytes).toString("base64"));
      expect(decodeBase64(text)).toEqual(new Uint8Array(bytes));
    }),
  );
});

test.each(["a", "ab", "abc", "AA=A", "A===", "AB==", "AAB=", "AA\n==", "A A=", "_-==", "AA==AA==", "AAA?"])(
  "%j is not the one spelling of some bytes",
  (text) => {
    expect(decodeBase64(text)).toBeUndefined();
  },
);

describe("a path", () => {
  test.each([
    ["/", "file:///"],
    ["/srv/a b", "file:///srv/a%20b"],
    ["/é%?#`{}", "file:///%C3%A9%25%3F%23%60%7B%7D"],
    ["/a:b@c+d,e;f=g&h$i[j]k^l|m", "file:///a:b@c+d,e;f=g&h$i[j]k^l|m"],
    ["/a/../b", "file:///%00/bad/path/L2EvLi4vYg"],
    ["/C:/x", "file:///%00/bad/path/L0M6L3g"],
    ["C:\\src\\a b", "file:///C:/src/a%20b"],
  ])("%s is written %s and comes back", (path, uri) => {
    expect(toPathUri(path)).toBe(uri);
    expect(fromPathUri(uri)).toBe(path);
  });

  test("that is relative starts from the server's working directory, or is none", () => {
    expect(toPathUri("a/b")).toBeUndefined();
    expect(toPathUri("a/b", "file:///srv")).toBe("file:///srv/a/b");
    expect(toPathUri("a\0b", "file:///srv")).toBeUndefined();
  });

  test("whose bytes are no text stays a URI", () => {
    expect(fromPathUri("file:///a%FF")).toBe("file:///a%FF");
    expect(fromPathUri("file://server/share")).toBe("file://server/share");
  });

  test("of any kind comes back", () => {
    const segment = fc.string({ unit: "binary", minLength: 1 }).filter((s) => !/[/\0]|^\.$/.test(s));
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 4 }), (segments) => {
        const path = `/${segments.join("/")}`;
        expect(fromPathUri(toPathUri(path) ?? "?")).toBe(path);
      }),
    );
  });
});
