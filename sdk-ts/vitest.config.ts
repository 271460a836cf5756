// `unit` knows no server, `server` and `browser` talk to the real one, `package` looks at what was built.

import { defineConfig } from "vitest/config";

const at = (path: string): string => new URL(path, import.meta.url).pathname;

/** What is built is tested by itself; everything else, examples included, is of the sources. */
const alias = [
  { find: "#crc32c", replacement: at("./src/core/crc32c_wasm.ts") },
  { find: "#websocket", replacement: at("./src/transport/websocket-node.ts") },
  { find: /^codex-exec-server-sdk$/, replacement: at("./src/index.ts") },
  { find: /^codex-exec-server-sdk\/(\w+)$/, replacement: at("./src/$1.ts") },
];

/** Long enough for a machine that has much else to do: nothing is judged by its time. */
const PATIENCE_MS = 240_000;

function project(name: string, include: readonly string[]) {
  return {
    extends: true as const,
    test: { name, include: [...include], testTimeout: PATIENCE_MS, hookTimeout: PATIENCE_MS },
  };
}

export default defineConfig({
  resolve: { alias },
  test: {
    // The gate sets it, and tells what needed it.
    retry: Number(process.env["VITEST_RETRIES"] ?? 0),
    projects: [
      project("unit", ["test/core/**/*.test.ts", "test/unit/**/*.test.ts"]),
      project("server", ["test/server/**/*.test.ts"]),
      project("browser", ["test/browser/**/*.test.ts"]),
      project("package", ["test/package/**/*.test.ts"]),
    ],
  },
});
