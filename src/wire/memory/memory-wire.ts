import type { Clock } from '../../system/clock.js'
import { systemClock } from '../../system/clock.js'
import { isKey, MOST_KEY_BYTES } from '../key.js'
import { type Command, FlightError, type Reply, type StoreTraits, valueBytes, type Wire } from '../wire.js'
import { largestValueBytes, MemoryStore } from './memory-store.js'

export interface MemoryWireOptions {
  /** The clock that counts TTLs. Default: the system's monotonic clock. */
  readonly clock?: Clock
  /** The largest item in bytes: value, key and about 60 bytes of overhead. Default 1 048 576, as memcached's `-I`. */
  readonly maxItemBytes?: number
  /**
   * The limit of all items together, in bytes. A write beyond it is refused as out of memory, and nothing is evicted,
   * like memcached with `-M`. Default: no limit.
   */
  readonly maxTotalBytes?: number
}

/** A wire to a store in this process. */
export interface MemoryWire extends Wire {
  readonly store: StoreTraits
  keys(prefix: string): AsyncIterable<string>
  /** How many items the store keeps, including expired items that were not swept yet. */
  readonly size: number
  /** The size of all items together, in bytes. */
  readonly usedBytes: number
}

/** The limits are memcached's, so that an application that runs on this wire also runs on memcached. */
const MEMORY: StoreTraits = {
  name: 'memory',
  maxKeyBytes: MOST_KEY_BYTES,
  remedy: { tooLarge: 'raise maxItemBytes of the wire', outOfMemory: 'raise maxTotalBytes of the wire' },
}

const DEFAULT_MAX_ITEM_BYTES = 1024 * 1024

/**
 * Makes a wire to a store in this process, with memcached's semantics: the embedded default, and the wire of most
 * tests.
 *
 * - A flight is carried out as a whole and in order, in a microtask: never during the caller's call, and without
 *   anything else in between. There is one node, so the route makes no difference.
 * - An item with a TTL of t seconds lives (t - 1, t], because time is counted in whole seconds, as memcached does. (One
 *   thing is not imitated: memcached's clock skips a second now and then, and an item then lives a second less.)
 * - CAS numbers come from one counter; `touch` does not change them.
 * - A refused `set` deletes the old item; a refused `cas` or `add` does not.
 * - Values are copied in and out. Expired items are removed when they are asked for, by `sweep`, and a few by every
 * write.
 *
 * @throws {FlightError} 'not-sent', from `flight`: a key that memcached would not take, a TTL that is not a whole
 *   number of seconds of at least 1, or a wire that was closed.
 */
export function createMemoryWire(options: MemoryWireOptions = {}): MemoryWire {
  return new InMemoryWire(options)
}

class InMemoryWire implements MemoryWire {
  readonly store = MEMORY
  private readonly clock: Clock
  private readonly maxItemBytes: number
  private readonly items: MemoryStore
  private closed = false

  constructor(options: MemoryWireOptions) {
    this.clock = options.clock ?? systemClock
    this.maxItemBytes = options.maxItemBytes ?? DEFAULT_MAX_ITEM_BYTES
    this.items = new MemoryStore({ maxItemBytes: this.maxItemBytes, maxTotalBytes: options.maxTotalBytes })
  }

  get size(): number {
    return this.items.size
  }

  get usedBytes(): number {
    return this.items.usedBytes
  }

  async flight(_route: string, commands: readonly Command[]): Promise<Reply[]> {
    // The commands are copied during the call, so that the caller may change its buffers afterwards.
    const taken = commands.map(ownCopy)
    await Promise.resolve()
    if (this.closed) throw new FlightError('not-sent', 'the memory wire is closed')
    const nowSec = this.nowSec()
    return taken.map((command) => this.items.run(command, nowSec))
  }

  maxValueBytes(_route: string, key: string): number {
    return largestValueBytes(this.maxItemBytes, Buffer.byteLength(key))
  }

  async *keys(prefix: string): AsyncGenerator<string> {
    if (this.closed) throw new FlightError('not-sent', 'the memory wire is closed')
    yield* this.items.keys(prefix, this.nowSec())
  }

  sweep(): number {
    return this.items.sweep(this.nowSec())
  }

  async close(): Promise<void> {
    this.closed = true
    this.items.clear()
  }

  private nowSec(): number {
    return Math.floor(this.clock.nowMs() / 1000)
  }
}

function ownCopy(command: Command): Command {
  if (!isKey(command.key)) {
    throw new FlightError('not-sent', 'a key must be 1 to 250 bytes of visible ASCII without spaces')
  }
  if ('ttlSec' in command && !(Number.isSafeInteger(command.ttlSec) && command.ttlSec >= 1)) {
    throw new FlightError('not-sent', `a TTL must be whole seconds, at least 1, and not ${command.ttlSec}`)
  }
  return 'value' in command ? { ...command, value: Buffer.from(valueBytes(command.value)) } : command
}
