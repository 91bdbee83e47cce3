/** ioredis, and iovalkey, which has grown out of it; alone, with Sentinel, or to a cluster. */
import { answerIn, type Failure, type RedisCaller, type Word } from './redis-caller.js'

export interface IoredisClient {
  readonly status: string
  readonly isCluster?: boolean
  readonly options: { readonly keyPrefix?: string | undefined }
  callBuffer(command: string, ...words: Word[]): Promise<unknown>
  duplicate(...overrides: unknown[]): IoredisClient
  connect(): Promise<unknown>
  disconnect(reconnect?: boolean): void
  once(event: 'ready' | 'end', listener: () => void): unknown
  off(event: 'ready' | 'end', listener: () => void): unknown
  on(event: 'error', listener: (error: unknown) => void): unknown
}

/** Said before anything is written. */
const NOT_WRITTEN = /enableOfflineQueue options is false|Cluster is ended/

/**
 * On a connection of its own with the options of the application's: as it is, ioredis sends again by itself what was not answered
 * when a connection broke (autoResendUnfulfilledCommands, retryDelayOnFailover), and keeps what it cannot send, for as long as the
 * server is away.
 */
export class IoredisCaller implements RedisCaller {
  readonly library = 'ioredis'
  readonly isCluster: boolean
  readonly hasPrefix: boolean
  readonly #client: IoredisClient
  #lastError: unknown
  #connecting: Promise<void> | undefined

  constructor(given: IoredisClient, flightMs: number) {
    this.isCluster = given.isCluster === true
    this.hasPrefix = (given.options.keyPrefix ?? '') !== ''
    const once = {
      lazyConnect: true,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      enableAutoPipelining: false,
      stringNumbers: false,
      // It ends then, and is connected anew by the next call.
      retryStrategy: null,
      reconnectOnError: null,
      connectTimeout: flightMs,
    }
    const ofCluster = {
      lazyConnect: true,
      enableOfflineQueue: false,
      enableAutoPipelining: false,
      scaleReads: 'master',
      retryDelayOnFailover: 0,
      clusterRetryStrategy: null,
      clusterNodeRetryStrategy: null,
      redisOptions: { stringNumbers: false, reconnectOnError: null, connectTimeout: flightMs },
    }
    this.#client = this.isCluster ? given.duplicate([], ofCluster) : given.duplicate(once)
    this.#client.on('error', (error) => {
      this.#lastError = error
    })
  }

  ready(): Promise<void> {
    if (this.#client.status === 'ready') return Promise.resolve()
    return (this.#connecting ??= this.#connected().finally(() => {
      this.#connecting = undefined
    }))
  }

  #connected(): Promise<void> {
    const client = this.#client
    return new Promise<void>((resolve, reject) => {
      const settle = (then: () => void) => (): void => {
        client.off('ready', ready)
        client.off('end', ended)
        then()
      }
      const ready = settle(resolve)
      const ended = settle(() => reject(new Error(messageOf(this.#lastError), { cause: this.#lastError })))
      client.once('ready', ready)
      client.once('end', ended)
      // It rejects with an error that says less than the one before.
      if (client.status === 'wait' || client.status === 'end' || client.status === 'close') client.connect().catch(ended)
    })
  }

  call([command = '', ...words]: readonly Word[]): Promise<unknown> {
    return this.#client.callBuffer(String(command), ...words)
  }

  failureOf(error: unknown): Failure {
    const answer = answerIn(error)
    if (answer !== undefined) return { outcome: 'answered', answer }
    const message = error instanceof Error ? error.message : ''
    // Of a cluster: all that it tried was refused by the nodes.
    const [, last] = /^Too many Cluster redirections\. Last error: ReplyError: (.*)$/.exec(message) ?? []
    if (last !== undefined) return { outcome: 'answered', answer: last }
    return { outcome: NOT_WRITTEN.test(message) ? 'not-sent' : 'unknown' }
  }

  leave(): void {
    if (!this.isCluster) this.#client.disconnect()
  }

  close(): Promise<void> {
    this.#client.disconnect()
    return Promise.resolve()
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : 'The connection is closed.')
