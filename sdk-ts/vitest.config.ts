// Two suites: `unit` knows no server, `server` talks to the real one.

import { defineConfig } from "vitest/config";

const alias = {
  "#websocket": new URL("./src/transport/websocket-node.ts", import.meta.url).pathname,
};

export default defineConfig({
  resolve: { alias },
  test: {
    dangerouslyIgnoreUnhandledErrors: false,
    projects: [
      {
        extends: true,
        test: { name: "unit", include: ["test/core/**/*.test.ts", "test/unit/**/*.test.ts"] },
      },
      {
        extends: true,
        test: {
          name: "server",
          include: ["test/server/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: { name: "package", include: ["test/package/**/*.test.ts"], testTimeout: 60_000 },
      },
    ],
  },
});
