// The command line of the benchmark: which rows, and where the results go. Nothing fails because a clock said so.

import { readFile, writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { launch } from "./browser.js";
import { consoleUse } from "./console.js";
import { look, othersSince } from "./cpu.js";
import { events } from "./events.js";
import { oneShot } from "./one_shot.js";
import { output } from "./output.js";
import { type Plan, plan } from "./programs.js";
import { type Figure, machine, markdown, type Outcome, reasons, table } from "./report.js";

interface Row {
  readonly about: string;
  readonly run: (plan: Plan) => Promise<readonly Figure[]>;
}

const ROWS: Readonly<Record<string, Row>> = {
  "one-shot": { about: "One command on an open connection, beside the Rust client", run: oneShot },
  output: { about: "1 GiB of binary output, beside a raw WebSocket", run: output },
  events: { about: "10,000 events a second in a page: what the browser uses", run: events },
  console: { about: "Typing in the console beside 100 processes, one of which floods", run: consoleUse },
};

const HELP = `Measures the TypeScript package. Without a row: all of them.

  npm run bench -- [--quick] [--page FILE] [ROW…]

${Object.entries(ROWS)
  .map(([name, { about }]) => `  ${name.padEnd(10)} ${about}`)
  .join("\n")}

  --quick      fewer samples and less data: a look, not a result
  --page FILE  also write a page for readers

Programs: BENCH_SERVER_BIN and BENCH_CLIENT_BIN (default: release builds of this tree, which \`just bench-sdk\` makes), CHROMIUM.`;

async function browserVersion({ chromium }: Plan): Promise<string | undefined> {
  if (chromium === undefined) return undefined;
  const browser = await launch(chromium);
  const version = browser.version();
  await browser.close();
  return version;
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { quick: { type: "boolean" }, page: { type: "string" }, help: { type: "boolean" } },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const unknown = positionals.filter((name) => !(name in ROWS));
  if (unknown.length > 0) {
    console.error(`no row ${unknown.join(", ")}; there are ${Object.keys(ROWS).join(", ")}`);
    return 2;
  }
  const isQuick = values.quick === true;
  const how = plan(isQuick);
  if (values.page !== undefined && how.isDebug) {
    console.error(`${how.server} is a debug build: a page is written of a release build alone`);
    return 2;
  }
  const outcomes: Outcome[] = [];
  for (const [name, { run }] of Object.entries(ROWS)) {
    if (positionals.length > 0 && !positionals.includes(name)) continue;
    console.error(name);
    const before = look();
    try {
      const figures = await run(how);
      outcomes.push({ row: name, figures, others: othersSince(before) });
    } catch (error) {
      // Minutes of other rows are worth keeping.
      const problem = error instanceof Error ? error.message : String(error);
      outcomes.push({ row: name, figures: [], others: othersSince(before), problem });
    }
  }
  const where = machine(await browserVersion(how), how);
  const missed = reasons(outcomes);
  console.log([where, table(outcomes), ...missed].join("\n\n"));
  if (values.page !== undefined) {
    const method = await readFile(new URL("../../bench/method.md", import.meta.url), "utf8");
    const why =
      missed.length === 0
        ? ""
        : `\n## What was missed, and why\n\n${missed.map((line) => `- ${line}\n`).join("")}`;
    await writeFile(values.page, `${method}\n## Figures\n\n${where}\n\n${markdown(outcomes)}\n${why}`);
  }
  return outcomes.some(({ problem }) => problem !== undefined) ? 1 : 0;
}

process.exitCode = await main().catch((error: unknown) => {
  console.error(`error: ${error instanceof Error ? error.message : String(error)}`);
  return 1;
});
