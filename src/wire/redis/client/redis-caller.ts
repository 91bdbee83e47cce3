/** The seam between the wire and a client library: one command, and its reply. */

export type Word = string | Buffer

/** What a failed call has come to. `answer`: what the server said. */
export type Failure = { readonly outcome: 'answered'; readonly answer: string } | { readonly outcome: 'not-sent' | 'unknown' }

export interface RedisCaller {
  /** For messages: `ioredis`. */
  readonly library: string
  /** Whether each key is on a node of its own, and a call names keys of one slot. */
  readonly isCluster: boolean
  /** Whether the library puts something before each key: then a list of keys is none of ours. */
  readonly hasPrefix: boolean
  /** Resolves when a call would be written at once. May take as long as it likes. @throws why it never will. */
  ready(): Promise<void>
  /**
   * Strings arrive as buffers, lists as arrays. `key` chooses the node. When the signal is aborted, what was not written yet is
   * not written any more.
   */
  call(words: readonly Word[], key: string | undefined, signal: AbortSignal): Promise<unknown>
  failureOf(error: unknown): Failure
  /** The server is none to write to any more: the next call is to find another one. */
  leave(): void
  close(): Promise<void>
}

/** An error that the server answered, and no word of the library's own: `WORD text`. */
export function answerIn(error: unknown): string | undefined {
  return error instanceof Error && /^(?:ReplyError|ErrorReply|SimpleError|BlobError)$/.test(error.constructor.name) ? error.message : undefined
}
