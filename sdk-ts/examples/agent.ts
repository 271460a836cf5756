// What an agent does all day: one short command after the other. Says how long it waited for them:
// `node agent.ts URL [COUNT]`.

import { connect } from "codex-exec-server-sdk";

const [url, count = "200"] = process.argv.slice(2);
if (url === undefined) {
  console.error("usage: agent URL [COUNT]");
  process.exit(2);
}
await using client = await connect(url);
const waits: number[] = [];
for (let n = 0; n < Number(count); n++) {
  const begun = performance.now();
  const { stdoutText, exitCode } = await client.process.run({ argv: ["sh", "-c", `echo step ${n}`] });
  waits.push(performance.now() - begun);
  if (exitCode !== 0 || stdoutText !== `step ${n}\n`) throw new Error(`step ${n} answered ${stdoutText}`);
}
const sorted = waits.toSorted((a, b) => a - b);
const at = (share: number): string =>
  `${(sorted[Math.floor((sorted.length - 1) * share)] ?? 0).toFixed(2)} ms`;
const total = waits.reduce((sum, wait) => sum + wait, 0) / 1000;
console.log(
  `${waits.length} commands, ${total.toFixed(2)} s of waiting: half of them within ${at(0.5)}, 99 % within ${at(0.99)}`,
);
