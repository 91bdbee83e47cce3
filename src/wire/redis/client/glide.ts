/** @valkey/valkey-glide, alone or to a cluster. */
import type { Failure, RedisCaller, Word } from './redis-caller.js'

export interface GlideClient {
  customCommand(words: Word[], options: { readonly decoder: number }): Promise<unknown>
}

/** `Decoder.Bytes` of the library. */
const AS_BYTES = 0

/** A word of the server's, as the library tells it: `An error was signalled by the server: - ResponseError: ...`. */
const SAID = /signalled by the server:?\s*-?\s*(?:ResponseError:\s*)?(.*)$/is
const WORDS: readonly (readonly [RegExp, string])[] = [
  [/^NoScriptError/i, 'NOSCRIPT'],
  [/^(?:ReadOnly|ReadOnlyError)\b/i, 'READONLY'],
  [/^BusyLoadingError/i, 'LOADING'],
  [/^ClusterDown/i, 'CLUSTERDOWN'],
  [/^MasterDown/i, 'MASTERDOWN'],
  [/^TryAgain/i, 'TRYAGAIN'],
]

/** The application's own connection, which is not closed here: the library cannot open a second one like it. */
export class GlideCaller implements RedisCaller {
  readonly library = 'valkey-glide'
  readonly isCluster: boolean
  readonly hasPrefix = false
  readonly #client: GlideClient

  constructor(given: GlideClient) {
    this.isCluster = given.constructor.name === 'GlideClusterClient'
    this.#client = given
  }

  ready(): Promise<void> {
    return Promise.resolve()
  }

  call(words: readonly Word[]): Promise<unknown> {
    return this.#client.customCommand([...words], { decoder: AS_BYTES })
  }

  failureOf(error: unknown): Failure {
    const message = error instanceof Error ? error.message : ''
    const [, said] = SAID.exec(message) ?? []
    const text = said ?? message
    const [, word] = WORDS.find(([form]) => form.test(text)) ?? []
    if (word !== undefined) return { outcome: 'answered', answer: `${word} ${text}` }
    if (said !== undefined) return { outcome: 'answered', answer: said }
    const isClosed = error instanceof Error && error.constructor.name === 'ClosingError'
    return { outcome: isClosed ? 'not-sent' : 'unknown' }
  }

  leave(): void {
    // It follows a server that is replaced by itself.
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
