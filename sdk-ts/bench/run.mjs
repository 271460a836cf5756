// Bundles the benchmark and runs it against the package as it was built: `npm run bench -- --help`.

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { build } from "esbuild";

const HERE = new URL("./", import.meta.url).pathname;
const ROOT = new URL("../", import.meta.url).pathname;

// Below this folder, where the package is found by its name.
const folder = await mkdtemp(`${ROOT}dist/.bench-`);
try {
  await build({
    entryPoints: [`${HERE}main.ts`, `${HERE}raw_server.ts`],
    bundle: true,
    packages: "external",
    format: "esm",
    platform: "node",
    target: "node20",
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    tsconfigRaw: {},
  });
  const child = spawn(process.execPath, [`${folder}/main.mjs`, ...process.argv.slice(2)], {
    stdio: "inherit",
  });
  // Ctrl-C is for the benchmark, which ends what it started; then this tidies up.
  process.on("SIGINT", () => {});
  process.exitCode = await new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? 1));
  });
} finally {
  await rm(folder, { recursive: true });
}
