/** What the console consists of: bytes by the name of the file. */
export function consoleFiles(): Promise<ReadonlyMap<string, Uint8Array>>;
