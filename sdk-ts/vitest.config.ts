// `unit` knows no server, `server` and `browser` talk to the real one, `package` looks at what was built.

import { defineConfig } from "vitest/config";

const alias = {
  "#websocket": new URL("./src/transport/websocket-node.ts", import.meta.url).pathname,
};

/** Long enough for a machine that has much else to do: nothing is judged by its time. */
function project(name: string, include: readonly string[], patienceMs: number) {
  return {
    extends: true as const,
    test: { name, include: [...include], testTimeout: patienceMs, hookTimeout: patienceMs },
  };
}

export default defineConfig({
  resolve: { alias },
  test: {
    projects: [
      project("unit", ["test/core/**/*.test.ts", "test/unit/**/*.test.ts"], 30_000),
      project("server", ["test/server/**/*.test.ts"], 60_000),
      project("browser", ["test/browser/**/*.test.ts"], 240_000),
      project("package", ["test/package/**/*.test.ts"], 60_000),
    ],
  },
});
