/** node-redis (the package `redis`), from 5 on; alone, or to a cluster. */
import { answerIn, type Failure, type RedisCaller, type Word } from './redis-caller.js'

interface CommandOptions {
  readonly typeMapping: Readonly<Record<number, unknown>>
  readonly abortSignal: AbortSignal
}

export interface NodeRedisClient {
  readonly isReady?: boolean
  readonly isOpen: boolean
  sendCommand(...call: unknown[]): Promise<unknown>
  duplicate(overrides?: object): NodeRedisClient
  connect(): Promise<unknown>
  destroy(): void
  once(event: 'ready', listener: () => void): unknown
  on(event: 'error', listener: (error: unknown) => void): unknown
  /** Of a cluster alone. */
  readonly getSlotMaster?: unknown
}

/** Strings (`$` in RESP) as buffers. */
const AS_BUFFERS = { 36: Buffer }
/** Said before anything is written. */
const NOT_WRITTEN = /^(?:ClientClosedError|ClientOfflineError|AbortError)$/

/** On a connection of its own with the options of the application's; what cannot be sent at once is not kept. */
export class NodeRedisCaller implements RedisCaller {
  readonly library = 'node-redis'
  readonly isCluster: boolean
  readonly hasPrefix = false
  readonly #client: NodeRedisClient
  #connecting: Promise<void> | undefined

  constructor(given: NodeRedisClient) {
    this.isCluster = typeof given.getSlotMaster === 'function'
    this.#client = this.isCluster ? given.duplicate() : given.duplicate({ disableOfflineQueue: true })
    // Without a listener an error of the connection ends the process.
    this.#client.on('error', () => undefined)
  }

  ready(): Promise<void> {
    const { isOpen, isReady } = this.#client
    if (this.#connecting === undefined && (this.isCluster ? isOpen : isReady === true)) return Promise.resolve()
    return (this.#connecting ??= this.#connected().finally(() => {
      this.#connecting = undefined
    }))
  }

  async #connected(): Promise<void> {
    const client = this.#client
    if (!client.isOpen) {
      await client.connect()
      return
    }
    await new Promise<void>((resolve) => void client.once('ready', resolve))
  }

  call(words: readonly Word[], key: string | undefined, abortSignal: AbortSignal): Promise<unknown> {
    const options: CommandOptions = { typeMapping: AS_BUFFERS, abortSignal }
    return this.isCluster ? this.#client.sendCommand(key, false, [...words], options) : this.#client.sendCommand([...words], options)
  }

  failureOf(error: unknown): Failure {
    const answer = answerIn(error)
    if (answer !== undefined) return { outcome: 'answered', answer }
    return { outcome: error instanceof Error && NOT_WRITTEN.test(error.constructor.name) ? 'not-sent' : 'unknown' }
  }

  leave(): void {
    // It follows a server that is replaced when its connection breaks.
  }

  close(): Promise<void> {
    if (this.#client.isOpen) this.#client.destroy()
    return Promise.resolve()
  }
}
