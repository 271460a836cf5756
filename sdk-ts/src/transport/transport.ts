// What carries messages, whatever it is: a WebSocket, a pair of streams, a test. Knows no method, and no JSON.

/** Why a transport ended. */
export interface TransportEnd {
  /** WebSocket close code, where there was one. */
  readonly code: number | undefined;
  /** What was said or noticed, for people. */
  readonly reason: string;
}

/** What a transport tells. No call after `onEnd`, which comes exactly once. */
export interface TransportEvents {
  /** One whole message: a text, or bytes. */
  onMessage(message: string | Uint8Array<ArrayBuffer>): void;
  /** It is over, for whatever reason, also after {@link Transport.close}. */
  onEnd(end: TransportEnd): void;
}

/** An open connection. */
export interface Transport {
  /** Sends one message. After the end it does nothing. */
  send(message: string): void;
  /**
   * Stops reading until {@link Transport.resume}, so that the peer has to wait. Absent where that can't be done, as with a
   * browser's WebSocket.
   */
  pause?(): void;
  /** Reads on. */
  resume?(): void;
  /** Says good-bye and ends. */
  close(): void;
  /** Lets go of the connection at once. */
  abandon(): void;
}

/**
 * Makes a connection. Rejects with an {@link ExecError}; when `signal` is aborted, with anything, having let go of what
 * it began.
 */
export type Dial = (events: TransportEvents, signal: AbortSignal) => Promise<Transport>;
