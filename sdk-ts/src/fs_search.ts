// Searches: batches come as notifications, before or behind the answer that counts them.

import { ExecError, refusal } from "./errors.js";
import type { FsContentOptions, FsEntry, FsGlobOptions, FsMatch } from "./fs_types.js";
import type { FsSearchScope } from "./generated/types.js";
import type { Paths } from "./paths.js";
import type { Outcome } from "./rpc/link.js";
import { Mailbox } from "./rpc/mailbox.js";
import type { Attached, Session } from "./rpc/session.js";

/** Batches that the server may send ahead of the reader; it is told when half of them were taken. */
const WINDOW = 16;
/** What may wait for the reader: those, and the answer. */
const MAX_WAITING = WINDOW + 1;

type News<T> =
  | { readonly type: "batch"; readonly batch: number; readonly matches: readonly T[] }
  | { readonly type: "answer"; readonly outcome: Outcome<{ readonly batches: number }> };

interface Search {
  readonly method: "fs/glob" | "fs/search";
  readonly searchId: string;
  readonly mailbox: Mailbox<News<never>>;
}

class Searches {
  readonly #open = new Map<string, Search>();
  #lastId = 0;

  constructor(session: Session) {
    for (const method of ["fs/glob/matches", "fs/search/matches"] as const) {
      session.router.listen(method, ({ searchId, batch, matches }) => {
        this.#open.get(searchId)?.mailbox.put({ type: "batch", batch, matches: matches as readonly never[] });
        return undefined;
      });
    }
  }

  open(method: Search["method"]): Search {
    const search: Search = { method, searchId: `sdk-${++this.#lastId}`, mailbox: new Mailbox(MAX_WAITING) };
    this.#open.set(search.searchId, search);
    return search;
  }

  close({ searchId }: Search): void {
    this.#open.delete(searchId);
  }
}

const searches = new WeakMap<Session, Searches>();

function searchesOf(session: Session): Searches {
  const known = searches.get(session) ?? new Searches(session);
  searches.set(session, known);
  return known;
}

/** Splits options into what says where to look and the rest. */
function scoped<O extends FsGlobOptions>(options: O) {
  const { signal, exclude, includeHidden, includeIgnored, followDirectorySymlinks, ...rest } = options;
  const scope: FsSearchScope = {
    ...(exclude !== undefined && { exclude }),
    ...(includeHidden !== undefined && { includeHidden }),
    ...(includeIgnored !== undefined && { includeIgnored }),
    ...(followDirectorySymlinks !== undefined && { followDirectorySymlinks }),
  };
  return { signal, rest, ...(Object.keys(scope).length > 0 ? { scope } : {}) };
}

/** See `client.fs.glob`. */
export async function* globAll(
  session: Session,
  paths: Paths,
  path: string,
  patterns: readonly string[],
  options: FsGlobOptions,
): AsyncGenerator<FsEntry, void> {
  session.demand("fsSearch");
  const search = searchesOf(session).open("fs/glob");
  const { signal, rest, ...scope } = scoped(options);
  const base = { searchId: search.searchId, path: paths.uri(path), creditBatches: WINDOW };
  const params = { ...base, patterns, ...scope, ...rest };
  const found = matches<FsEntry>(session, search, signal, (attached, stop) =>
    session.callOver(attached, "fs/glob", params, stop),
  );
  for await (const entry of found) yield { ...entry, path: paths.native(entry.path) };
}

/** See `client.fs.search`. */
export async function* searchAll(
  session: Session,
  paths: Paths,
  path: string,
  pattern: string,
  options: FsContentOptions,
): AsyncGenerator<FsMatch, void> {
  session.demand("fsSearch");
  const search = searchesOf(session).open("fs/search");
  const { signal, rest, ...scope } = scoped(options);
  const base = { searchId: search.searchId, path: paths.uri(path), creditBatches: WINDOW };
  const params = { ...base, pattern, ...scope, ...rest };
  const found = matches<FsMatch>(session, search, signal, (attached, stop) =>
    session.callOver(attached, "fs/search", params, stop),
  );
  for await (const match of found) yield { ...match, path: paths.native(match.path) };
}

/** Everything that one search finds. Leaving the loop cancels it. */
async function* matches<T>(
  session: Session,
  search: Search,
  signal: AbortSignal | undefined,
  ask: (attached: Attached, stop: AbortSignal) => Promise<Outcome<{ readonly batches: number }>>,
): AsyncGenerator<T, void> {
  const mailbox = search.mailbox as unknown as Mailbox<News<T>>;
  const stop = new AbortController();
  try {
    const attached = await session.connection(undefined, signal);
    ask(attached, stop.signal).then(
      (outcome) => mailbox.put({ type: "answer", outcome }),
      () => {},
    );
    let expected: number | undefined;
    let owed = 0;
    for (let seen = 0; expected === undefined || seen < expected; ) {
      const { items, hasOverflowed } = await mailbox.take(signal);
      for (const news of items) {
        if (news.type === "answer") expected = batchesOf(search, news.outcome);
        else {
          if (news.batch !== seen + 1) throw bodyLost(`${search.method}: batch ${seen + 1} is missing`);
          seen = news.batch;
          yield* news.matches;
          owed += 1;
          if (owed >= WINDOW / 2 && expected === undefined) {
            attached.link.notify("fs/searchCredit", { searchId: search.searchId, batches: owed });
            owed = 0;
          }
        }
      }
      if (hasOverflowed) throw bodyLost(`${search.method}: more than ${WINDOW} batches were ahead`);
    }
  } finally {
    stop.abort();
    searchesOf(session).close(search);
  }
}

function batchesOf({ method }: Search, outcome: Outcome<{ readonly batches: number }>): number {
  if (outcome.type === "result") return outcome.result.batches;
  if (outcome.type === "refused") throw refusal(method, outcome.error);
  throw bodyLost(`${method}: connection was lost, and the search with it`);
}

function bodyLost(text: string): ExecError {
  return new ExecError("bodyLost", text, { hint: "search again" });
}
