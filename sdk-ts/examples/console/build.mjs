// Makes the console: one script, one style sheet, a page, an icon. `just console` writes them to where the server's program
// takes them from, the large ones in gzip; a test compares.

import { readFile, writeFile } from "node:fs/promises";
import { gunzipSync, gzipSync } from "node:zlib";
import { build } from "esbuild";

const HERE = new URL("./", import.meta.url).pathname;
const SDK = new URL("../../", import.meta.url).pathname;
const TARGET = new URL("../../../codex-rs/exec-server/console/", import.meta.url).pathname;
/** What every copy of the program should not carry as it is. */
const COMPRESSED = new Set(["console.js", "console.css"]);

/** The licence of the one library in it, as its terms ask. */
async function notice() {
  const licence = await readFile(`${SDK}node_modules/@xterm/xterm/LICENSE`, "utf8");
  return `/*!\nIncludes xterm.js and its fit addon:\n\n${licence.trim()}\n*/`;
}

/** What the console consists of: bytes by the name of the file. The same sources give the same bytes. */
export async function consoleFiles() {
  const banner = await notice();
  const result = await build({
    entryPoints: { console: `${HERE}src/main.ts`, style: `${HERE}console.css` },
    absWorkingDir: SDK,
    bundle: true,
    // Names stay as they are: otherwise a new constant anywhere would change every name in here.
    minifyWhitespace: true,
    minifySyntax: true,
    format: "esm",
    target: ["chrome109", "firefox115", "safari16.4"],
    charset: "utf8",
    legalComments: "none",
    write: false,
    outdir: HERE,
    banner: { js: banner, css: banner },
    alias: {
      "codex-exec-server-sdk": `${SDK}src/index.ts`,
      "#crc32c": `${SDK}src/core/crc32c.ts`,
      "#websocket": `${SDK}src/transport/websocket-global.ts`,
    },
    tsconfigRaw: {},
  });
  const output = (end) => result.outputFiles.find(({ path }) => path.endsWith(end)).contents;
  return new Map([
    ["console.js", output("console.js")],
    ["console.css", output("style.css")],
    ["index.html", await readFile(`${HERE}index.html`)],
    ["icon.svg", await readFile(`${HERE}icon.svg`)],
  ]);
}

/** The file that the program holds of `name`. */
export function shownAs(name) {
  return COMPRESSED.has(name) ? `${name}.gz` : name;
}

/** What the program shows as `name` by now, as a browser gets to see it; `undefined` if there is none. */
export async function shownContents(name) {
  const held = await readFile(`${TARGET}${shownAs(name)}`).catch(() => undefined);
  return held !== undefined && COMPRESSED.has(name) ? gunzipSync(held) : held;
}

async function write(name, contents) {
  // Compressors differ from one version of Node.js to the next: what says the same stays as it is.
  if ((await shownContents(name))?.equals(contents)) return;
  const held = COMPRESSED.has(name) ? gzipSync(contents, { level: 9 }) : contents;
  await writeFile(`${TARGET}${shownAs(name)}`, held);
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  for (const [name, contents] of await consoleFiles()) await write(name, contents);
}
