import { type Cas, type Command, type Reply, type Status, valueBytes } from '../wire.js'

/** An item, as the store keeps it. */
interface Stored {
  readonly value: Buffer
  readonly flags: number
  /** The second of the store's clock at which the item expires. */
  expiresAtSec: number
  readonly version: number
  readonly sizeBytes: number
}

export interface StoreLimits {
  /** The size of the largest item (value, key and overhead), in bytes. */
  readonly maxItemBytes: number
  /** The size of all items together, in bytes; undefined: no limit. */
  readonly maxTotalBytes: number | undefined
}

// memcached 1.6: header 48, CAS 8, the key's and the value's terminators 3; client flags take 4 more unless they are 0.
const OVERHEAD_BYTES = 59
const FLAGS_BYTES = 4
/** How many items each write checks for expiry: more than one, so that expired items go faster than new ones come. */
const SWEPT_PER_WRITE = 2
/** The `asOf` of every CAS here. There are no connections, and no version comes twice. */
const AS_OF = 0

/** The largest value under a key of `keyBytes`, whatever its flags. */
export function largestValueBytes(maxItemBytes: number, keyBytes: number): number {
  return Math.max(0, maxItemBytes - OVERHEAD_BYTES - FLAGS_BYTES - keyBytes)
}

/** Keeps items, and carries out commands as memcached does, at a given second. See `createMemoryWire`. */
export class MemoryStore {
  private readonly items = new Map<string, Stored>()
  private cursor = this.items.entries()
  private lastVersion = 0
  private totalBytes = 0

  constructor(private readonly limits: StoreLimits) {}

  /** How many items there are, including expired items that were not swept yet. */
  get size(): number {
    return this.items.size
  }

  /** The size of all items together, including overhead, in bytes. */
  get usedBytes(): number {
    return this.totalBytes
  }

  /**
   * Carries out one command at `nowSec`. Keeps the command's value without copying it; values in replies are copies.
   */
  run(command: Command, nowSec: number): Reply {
    switch (command.op) {
      case 'get': {
        const item = this.find(command.key, nowSec)
        return item === undefined ? bare('missing') : whole('ok', item)
      }
      case 'add':
      case 'set':
      case 'cas':
        return this.write(command, nowSec)
      case 'touch': {
        const item = this.find(command.key, nowSec)
        if (item === undefined) return bare('missing')
        item.expiresAtSec = nowSec + command.ttlSec
        return { ...bare('ok'), cas: casOf(item.version) }
      }
      case 'delete':
        if (this.find(command.key, nowSec) === undefined) return bare('missing')
        this.remove(command.key)
        return bare('ok')
      case 'cad': {
        const item = this.find(command.key, nowSec)
        if (item === undefined) return bare('missing')
        if (!isVersion(command.cas, item)) return bare('exists')
        this.remove(command.key)
        return bare('ok')
      }
    }
  }

  /** The keys that begin with `prefix` and have not expired at `nowSec`. */
  keys(prefix: string, nowSec: number): string[] {
    return [...this.items].flatMap(([key, item]) => (item.expiresAtSec > nowSec && key.startsWith(prefix) ? [key] : []))
  }

  /** Removes every item that has expired by `nowSec`, and returns how many. */
  sweep(nowSec: number): number {
    let swept = 0
    for (const [key, item] of this.items) {
      if (item.expiresAtSec > nowSec) continue
      this.remove(key)
      swept++
    }
    return swept
  }

  clear(): void {
    this.items.clear()
    this.totalBytes = 0
  }

  private write(command: Command & { readonly op: 'add' | 'set' | 'cas' }, nowSec: number): Reply {
    const { key, flags = 0 } = command
    const value = valueBytes(command.value)
    this.sweepALittle(nowSec)
    const sizeBytes = OVERHEAD_BYTES + (flags === 0 ? 0 : FLAGS_BYTES) + key.length + value.length
    // memcached looks for space first, before it looks at the key. When there is none, only `set` drops the old item.
    const refusal = this.refusal(sizeBytes, nowSec)
    if (refusal !== undefined) {
      if (command.op === 'set') this.remove(key)
      return bare(refusal)
    }
    const occupant = this.find(key, nowSec)
    if (command.op === 'add' && occupant !== undefined) return whole('exists', occupant)
    if (command.op === 'cas') {
      if (occupant === undefined) return bare('missing')
      if (!isVersion(command.cas, occupant)) return bare('exists')
    }
    this.remove(key)
    const version = ++this.lastVersion
    this.items.set(key, { value, flags, expiresAtSec: nowSec + command.ttlSec, version, sizeBytes })
    this.totalBytes += sizeBytes
    // The reply gives no more than the contract of a wire promises, so that no code relies on more, and fails
    // elsewhere.
    const wanted = command.op === 'add' || (command.op === 'cas' && command.wantCas === true)
    return wanted ? { ...bare('ok'), cas: casOf(version) } : bare('ok')
  }

  private refusal(sizeBytes: number, nowSec: number): Status | undefined {
    if (sizeBytes > this.limits.maxItemBytes) return 'tooLarge'
    const { maxTotalBytes } = this.limits
    if (maxTotalBytes === undefined || this.totalBytes + sizeBytes <= maxTotalBytes) return undefined
    this.sweep(nowSec)
    // The old item still takes up its space while the new item is made.
    return this.totalBytes + sizeBytes <= maxTotalBytes ? undefined : 'outOfMemory'
  }

  private find(key: string, nowSec: number): Stored | undefined {
    const item = this.items.get(key)
    if (item === undefined || item.expiresAtSec > nowSec) return item
    this.remove(key)
    return undefined
  }

  private remove(key: string): void {
    const item = this.items.get(key)
    if (item === undefined) return
    this.items.delete(key)
    this.totalBytes -= item.sizeBytes
  }

  private sweepALittle(nowSec: number): void {
    for (let looked = 0; looked < SWEPT_PER_WRITE; looked++) {
      const next = this.cursor.next()
      if (next.done === true) {
        this.cursor = this.items.entries()
        return
      }
      const [key, item] = next.value
      if (item.expiresAtSec <= nowSec) this.remove(key)
    }
  }
}

function isVersion(cas: Cas, item: Stored): boolean {
  return cas.version === String(item.version)
}

function casOf(version: number): Cas {
  return { version: String(version), asOf: AS_OF }
}

function bare(status: Status): Reply {
  return { status, value: undefined, flags: 0, cas: undefined }
}

function whole(status: Status, item: Stored): Reply {
  return { status, value: Buffer.from(item.value), flags: item.flags, cas: casOf(item.version) }
}
