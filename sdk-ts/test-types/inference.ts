// What the compiler must know about the public types, and must refuse. Compiled by `npm run check`, never run.

import { connect, type ExecErrorKind, isExecError, type ProcessEvent } from "../src/index.js";

function equal<A, B>(
  ..._same: (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? [] : [never]
): void {}

export async function example(): Promise<number> {
  await using client = await connect("ws://127.0.0.1:9000", { signal: AbortSignal.timeout(1000) });
  await using build = await client.process.start({ argv: ["make", "test"], cwd: "/srv/app" });
  for await (const event of build.events({ after: 3 })) {
    equal<typeof event, ProcessEvent>();
    switch (event.type) {
      case "output":
        equal<typeof event.stream, "stdout" | "stderr" | "pty">();
        equal<typeof event.bytes, Uint8Array<ArrayBuffer>>();
        break;
      case "gap":
        equal<typeof event.bytes, number | undefined>();
        break;
      case "exited":
        return event.exitCode;
      case "closed":
        equal<typeof event.proof, "checksum" | "length" | "numbering" | "gap">();
        break;
      default:
        event satisfies never; // A new kind of event is a compile error here.
    }
  }
  const output = await client.process.run({ argv: ["true"], input: "x" });
  equal<typeof output.stdout, Uint8Array<ArrayBuffer>>();
  // @ts-expect-error Public types are read-only.
  output.exitCode = 1;
  // @ts-expect-error A program is needed.
  await client.process.start({ cwd: "/" });
  // @ts-expect-error Flags are known by name.
  client.supports("everything");
  // @ts-expect-error An optional member is left out, not undefined.
  await client.process.start({ argv: ["x"], cwd: undefined });
  // @ts-expect-error Signals are known by name.
  await build.signal("SIGKILL");
  return 0;
}

export function kinds(error: unknown): string {
  if (isExecError(error, "gap")) return error.message;
  if (!isExecError(error)) return String(error);
  equal<typeof error.kind, ExecErrorKind>();
  // @ts-expect-error There is no such kind.
  return error.kind === "oops" ? "" : (error.hint ?? "");
}
