import type { Clock } from '../../system/clock.js'
import { systemClock } from '../../system/clock.js'
import { isKey, MOST_KEY_BYTES } from '../key.js'
import { type Command, FlightError, type Reply, type StoreTraits, valueBytes, type Wire } from '../wire.js'
import { largestValueBytes, MemoryStore } from './memory-store.js'

export interface MemoryWireOptions {
  /** What TTLs are counted on. Default: the system's monotonic clock. */
  readonly clock?: Clock
  /** The largest item in bytes: value, key and about 60 bytes of overhead. Default 1 048 576, as memcached's `-I`. */
  readonly maxItemBytes?: number
  /**
   * All items together, in bytes; beyond it writes are refused as out of memory and nothing is evicted, as memcached
   * with `-M`. Default: no limit.
   */
  readonly maxTotalBytes?: number
}

/** A wire to a store in this process. */
export interface MemoryWire extends Wire {
  readonly store: StoreTraits
  keys(prefix: string): AsyncIterable<string>
  /** How many items it keeps, including expired ones that were not swept yet. */
  readonly size: number
  /** What they take, in bytes. */
  readonly usedBytes: number
}

/** Its limits are memcached's, so that what runs here runs there. */
const MEMORY: StoreTraits = {
  name: 'memory',
  maxKeyBytes: MOST_KEY_BYTES,
  remedy: { tooLarge: 'raise maxItemBytes of the wire', outOfMemory: 'raise maxTotalBytes of the wire' },
}

const DEFAULT_MAX_ITEM_BYTES = 1024 * 1024

/**
 * memcached's semantics without memcached: the embedded default, and what tests run on.
 *
 * - A flight is carried out whole and in order, in a microtask: never in the caller's turn, and before anything else
 *   gets to run once it began. One node: the route makes no difference.
 * - A TTL of t seconds lives (t - 1, t], because time is counted in whole seconds, as memcached's is. (What is not
 *   imitated: memcached's clock skips a second now and then, which takes one more.)
 * - CAS numbers come from one counter; touch leaves them alone.
 * - A refused `set` deletes the old item, a refused `cas` or `add` does not.
 * - Values are copied in and out. Expired items go when they are asked for, on `sweep`, and a few with every write.
 *
 * @throws {FlightError} 'not-sent', from `flight`: a key that memcached would not take, a TTL that is no whole number
 *   of seconds from 1, or a wire that was closed.
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
    // Taken down in the caller's turn: what the caller does to its buffers afterwards is none of the store's business.
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
