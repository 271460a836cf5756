// 10,000 events a second in a page: what the whole browser uses for them, its network and every process of it.
//
// Twenty processes write a line each 500 times a second, each line an event of its own. What comes is counted, since a machine
// that is busy merges some: the figure is for 10,000 of those that came. Beside it the same messages in a page that looks at
// none of them: what the browser itself takes to hand them over.

import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { build } from "esbuild";
import { TestServer } from "../test/support/server.js";
import { type BrowserCpu, cpuOf, show } from "./browser.js";
import type { Plan } from "./programs.js";
import type { Figure } from "./report.js";

const PROCESSES = 20;
const WANTED_PER_SECOND = 10_000;
const WARM_UP_MS = 3000;
const PAGE = '<!doctype html><title>Events</title><script type="module" src="page.js"></script>';

/** Writes a line every so many seconds, at times that do not drift. */
const WRITER = `
  use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC usleep);
  my $next = clock_gettime(CLOCK_MONOTONIC);
  while (1) {
    syswrite(STDOUT, "a line of output, as programs write them\\n") or exit;
    $next += ${PROCESSES / WANTED_PER_SECOND};
    my $wait = $next - clock_gettime(CLOCK_MONOTONIC);
    usleep($wait * 1e6) if $wait > 0;
  }`;

/** What there was at a moment. */
interface Look {
  readonly atMs: number;
  readonly events: number;
  readonly cpu: BrowserCpu;
}

/** Serves the page, and tells `hear` what the page says. */
async function site(
  hear: (path: string, said: string) => void,
): Promise<{ origin: string } & AsyncDisposable> {
  const bundled = await build({
    entryPoints: [new URL("../../bench/events_page.ts", import.meta.url).pathname],
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    write: false,
    tsconfigRaw: {},
  });
  const answer = async (
    request: IncomingMessage,
  ): Promise<readonly [type: string, body: string | Uint8Array]> => {
    if (request.method === "POST") hear(request.url ?? "", await text(request));
    else if (request.url === "/page.js") return ["text/javascript", bundled.outputFiles[0]!.contents];
    return ["text/html", PAGE];
  };
  const server = createServer(async (request, response) => {
    const [type, body] = await answer(request);
    response.setHeader("content-type", type).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** Two looks at a page that follows the processes, `ms` or a little more apart. `bare`: without this package. */
async function twoLooks(
  program: string,
  chromium: string,
  ms: number,
  bare: boolean,
): Promise<readonly [Look, Look]> {
  let tell!: (looks: readonly [Look, Look]) => void;
  let fail!: (error: Error) => void;
  const told = new Promise<readonly [Look, Look]>((resolve, reject) => {
    tell = resolve;
    fail = reject;
  });
  let begun: number | undefined;
  let first: Look | undefined;
  await using pages = await site((path, said) => {
    if (path !== "/count") return fail(new Error(`the page failed: ${said}`));
    const look: Look = { atMs: performance.now(), events: Number(said), cpu: cpuOf() };
    if (look.events > 0) begun ??= look.atMs;
    if (begun === undefined || look.atMs < begun + WARM_UP_MS) return;
    first ??= look;
    if (look.atMs >= first.atMs + ms) tell([first, look]);
  });
  await using server = await TestServer.start(["--allow-origin", pages.origin], { program });
  const query = new URLSearchParams({
    server: server.url,
    argv: JSON.stringify(["perl", "-e", WRITER]),
    processes: String(PROCESSES),
    ...(bare && { bare: "" }),
  });
  await using _browser = show(chromium, `${pages.origin}/?${query}`);
  return await told;
}

/** What 10,000 events a second take, as whole processors. */
interface Cost {
  readonly page: number;
  readonly network: number;
  readonly rest: number;
  /** Events that came in a second. */
  readonly perSecond: number;
}

function costOf([before, after]: readonly [Look, Look]): Cost {
  const count = after.events - before.events;
  const of = (kind: keyof BrowserCpu): number =>
    ((after.cpu[kind] - before.cpu[kind]) / count) * WANTED_PER_SECOND;
  const perSecond = (count * 1000) / (after.atMs - before.atMs);
  return { page: of("renderer"), network: of("network"), rest: of("rest"), perSecond };
}

function total({ page, network, rest }: Cost): number {
  return page + network + rest;
}

function told({ page, network, perSecond }: Cost): string {
  return `the page ${page.toFixed(3)}, the network ${network.toFixed(3)}; ${perSecond.toFixed(0)} came in a second`;
}

/** See the head of the file. */
export async function events({ server: program, chromium, isQuick }: Plan): Promise<readonly Figure[]> {
  if (chromium === undefined) throw new Error("there is no Chromium; CHROMIUM names one");
  const ms = isQuick ? 5000 : 20_000;
  const bare = costOf(await twoLooks(program, chromium, ms, /* bare */ true));
  const ours = costOf(await twoLooks(program, chromium, ms, /* bare */ false));
  return [
    {
      metric: "CPU for 10,000 a second",
      value: total(ours),
      unit: "cores",
      goal: { atMost: 0.25, of: "cores" },
      note: told(ours),
      why: `${told(ours)}; of ${total(bare).toFixed(3)} cores that a page takes which gets each by itself and looks at none`,
    },
    {
      metric: "the same, each in a message of its own, nobody looking",
      value: total(bare),
      unit: "cores",
      note: told(bare),
    },
  ];
}
