// Bundles the extension for the desktop's host and for that in a browser, with the SDK of this checkout in it. What `ws` is to
// the first, the browser has itself.

import { build } from "esbuild";

const HERE = new URL("./", import.meta.url).pathname;
const SDK = new URL("../../", import.meta.url).pathname;

/** One bundle. With `outdir` it is written there, otherwise returned. */
export function bundle(platform, outdir) {
  const isWeb = platform === "browser";
  return build({
    entryPoints: { [isWeb ? "extension.web" : "extension"]: `${HERE}src/extension.ts` },
    bundle: true,
    // The host in a browser knows CommonJS alone.
    format: isWeb ? "cjs" : "esm",
    platform,
    target: "es2022",
    external: ["vscode", "ws"],
    write: outdir !== undefined,
    outdir: outdir ?? HERE,
    alias: {
      "codex-exec-server-sdk": `${SDK}src/index.ts`,
      "codex-exec-server-sdk/vscode": `${SDK}src/vscode.ts`,
      "#crc32c": `${SDK}src/core/crc32c${isWeb ? "" : "_wasm"}.ts`,
      "#websocket": `${SDK}src/transport/websocket-${isWeb ? "global" : "node"}.ts`,
    },
    tsconfigRaw: {},
  });
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  for (const platform of ["node", "browser"]) await bundle(platform, `${HERE}dist`);
}
