/** What the console consists of: bytes by the name of the file. */
export function consoleFiles(): Promise<ReadonlyMap<string, Uint8Array>>;
/** The file that the program holds of `name`. */
export function shownAs(name: string): string;
/** What the program shows as `name` by now, as a browser gets to see it; `undefined` if there is none. */
export function shownContents(name: string): Promise<Buffer | undefined>;
