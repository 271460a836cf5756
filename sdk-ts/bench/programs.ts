// The programs that are measured, and how thoroughly.

import { existsSync } from "node:fs";

const TARGET =
  process.env["CARGO_TARGET_DIR"] ?? new URL("../../../codex-rs/target", import.meta.url).pathname;

/** How thoroughly to measure. */
export interface Plan {
  readonly isQuick: boolean;
  /** The server's program. */
  readonly server: string;
  /** Whether that is a debug build, whose figures say little. */
  readonly isDebug: boolean;
  /** A Chromium; `undefined` if there is none. */
  readonly chromium: string | undefined;
}

function program(variable: string, name: string): string {
  const path = process.env[variable] ?? `${TARGET}/release/${name}`;
  if (existsSync(path)) return path;
  throw new Error(`there is no ${path}: run \`just bench-sdk\`, which builds it, or set ${variable}`);
}

/** Finds everything, or says what is missing. */
export function plan(isQuick: boolean): Plan {
  const chromium = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
  // Not what tests go by, which may be a debug build.
  const server = program("BENCH_SERVER_BIN", "codex-exec-server");
  return {
    isQuick,
    server,
    isDebug: server.includes("/debug/"),
    chromium: existsSync(chromium) ? chromium : undefined,
  };
}

/** The Rust benchmark's program, which can be the Rust client. */
export function rustClientProgram(): string {
  return program("BENCH_CLIENT_BIN", "codex-exec-server-bench");
}
