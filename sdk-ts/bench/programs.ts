// The programs that are measured, and how thoroughly.

import { existsSync } from "node:fs";

const RELEASE = new URL("../../../codex-rs/target/release/", import.meta.url).pathname;

/** How thoroughly to measure. */
export interface Plan {
  readonly isQuick: boolean;
  /** The server's program. */
  readonly server: string;
  /** A Chromium; `undefined` if there is none. */
  readonly chromium: string | undefined;
}

function program(variable: string, name: string): string {
  const path = process.env[variable] ?? `${RELEASE}${name}`;
  if (existsSync(path)) return path;
  throw new Error(`there is no ${path}: run \`just bench-sdk\`, which builds it, or set ${variable}`);
}

/** Finds everything, or says what is missing. */
export function plan(isQuick: boolean): Plan {
  const chromium = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
  return {
    isQuick,
    server: program("CODEX_EXEC_SERVER_BIN", "codex-exec-server"),
    chromium: existsSync(chromium) ? chromium : undefined,
  };
}

/** The Rust benchmark's program, which can be the Rust client. */
export function rustClientProgram(): string {
  return program("CODEX_EXEC_SERVER_BENCH_BIN", "codex-exec-server-bench");
}
