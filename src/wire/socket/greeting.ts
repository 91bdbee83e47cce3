/** What a server says about itself during the handshake, as far as connections go by it. */
export interface Greeting {
  /** Identifies the server's process; a restarted server has another. Undefined if the server does not say. */
  readonly process: string | undefined
  /** The largest item in bytes; undefined if the server does not say. */
  readonly itemSizeMaxBytes: number | undefined
  /** Why this server cannot keep locks, as a sentence without its full stop; undefined where it can. */
  readonly flaw: string | undefined
}
