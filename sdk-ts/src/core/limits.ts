// Bounds on what one process's events may take up between the connection and the caller.

/** See each member for its default. */
export interface ProcessBounds {
  /** Events that are kept for subscribers to come, whoever took them already. Default 256. */
  readonly historyEvents: number;
  /** Bytes of output in such events. Default 1 MiB. */
  readonly historyBytes: number;
  /**
   * Bytes that may wait for a subscriber. A server that takes acknowledgements (flag `outputWindow`) is told to send no more
   * than three quarters of it ahead, and the connection to any other is held, where it can be. Default 4 MiB.
   */
  readonly readyBytes: number;
  /** Events that may wait for a subscriber. What comes beyond makes it read the oldest from the server. Default 16,384. */
  readonly readyEvents: number;
  /** Events that may wait for an earlier one that is being read again; more are dropped and read as well. Default 4,096. */
  readonly parkedEvents: number;
  /**
   * Bytes of output in such events, and room beyond `readyBytes` for what comes before an answer that is waited for while
   * the connection should be held. Default 64 MiB: what kernels may hold of a connection, several times over.
   */
  readonly parkedBytes: number;
}

/** The defaults. */
export const DEFAULT_BOUNDS: ProcessBounds = {
  historyEvents: 256,
  historyBytes: 1 << 20,
  readyBytes: 4 << 20,
  readyEvents: 16_384,
  parkedEvents: 4096,
  parkedBytes: 64 << 20,
};

/** How far a server may push ahead of what was acknowledged: what finds room here, and a chunk less. */
export function windowBytes({ readyBytes }: ProcessBounds): number {
  return Math.floor(readyBytes / 4) * 3;
}
