// Callers' paths for one server: native ones become URIs, relative ones start from the server's working directory.

import { fromPathUri, toPathUri } from "./core/path_uri.js";
import { ExecError } from "./errors.js";
import type { Session } from "./rpc/session.js";

/** See the head of the file. */
export class Paths {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  /** The URI of a path; throws `invalidArgument` for what is none. */
  uri(path: string): string {
    const uri = typeof path === "string" ? toPathUri(path, this.#session.peer.environment.cwd) : undefined;
    if (uri !== undefined) return uri;
    throw new ExecError("invalidArgument", `${JSON.stringify(path)} is no path`, {
      hint: "pass an absolute path or a file: URI; a relative one needs a server that tells its working directory",
    });
  }

  /** The native path of a URI, or the URI itself where that has no text. */
  native(uri: string): string {
    return fromPathUri(uri);
  }
}
