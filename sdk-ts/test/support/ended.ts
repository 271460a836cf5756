// Processes end a moment after the kill was answered for: the server hears of it like everybody else.

import type { Client } from "../../src/index.js";

/** Resolves when no process of this id runs any more; never, if it does not end. */
export async function ended(client: Client, processId: string): Promise<void> {
  for (;;) {
    const process = (await client.process.list()).find((one) => one.processId === processId);
    if (process === undefined || process.state === "exited" || process.state === "closed") return;
  }
}
