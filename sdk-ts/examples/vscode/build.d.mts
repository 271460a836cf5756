import type { BuildResult } from "esbuild";

/** One bundle. With `outdir` it is written there, otherwise returned. */
export function bundle(platform: "browser" | "node", outdir?: string): Promise<BuildResult>;
