import { type Cas, type Command, type Reply, type Status, valueBytes } from '../wire.js'

/** What a store keeps of an item. */
interface Stored {
  readonly value: Buffer
  readonly flags: number
  /** The second, on the store's clock, at which it is gone. */
  expiresAtSec: number
  readonly version: number
  readonly sizeBytes: number
}

export interface StoreLimits {
  /** The largest item: value, key and overhead, in bytes. */
  readonly maxItemBytes: number
  /** All items together, in bytes; undefined: no limit. */
  readonly maxTotalBytes: number | undefined
}

// memcached 1.6: header 48, CAS 8, the key's and the value's terminators 3; client flags take 4 more unless they are 0.
const OVERHEAD_BYTES = 59
const FLAGS_BYTES = 4
/** How many items each write looks at for expiry: more than one, so that rubbish goes faster than it can come. */
const SWEPT_PER_WRITE = 2
/** One store, no connections: every CAS is as good as any other. */
const AS_OF = 0

/** The largest value under a key of `keyBytes`, whatever its flags. */
export function largestValueBytes(maxItemBytes: number, keyBytes: number): number {
  return Math.max(0, maxItemBytes - OVERHEAD_BYTES - FLAGS_BYTES - keyBytes)
}

/** memcached's items and what its commands do to them, at a given second; see `createMemoryWire`. */
export class MemoryStore {
  private readonly items = new Map<string, Stored>()
  private cursor = this.items.entries()
  private lastVersion = 0
  private totalBytes = 0

  constructor(private readonly limits: StoreLimits) {}

  /** How many items there are, those included that expired and were not swept yet. */
  get size(): number {
    return this.items.size
  }

  /** What all of them take, overhead included, in bytes. */
  get usedBytes(): number {
    return this.totalBytes
  }

  /** Carries out one command as of `nowSec`. Takes the command's value as its own; copies what it hands out. */
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

  /** The keys that begin with `prefix` and are there at `nowSec`, as of now. */
  keys(prefix: string, nowSec: number): string[] {
    return [...this.items].flatMap(([key, item]) => (item.expiresAtSec > nowSec && key.startsWith(prefix) ? [key] : []))
  }

  /** Removes every item that is gone by `nowSec`; how many. */
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
    // As the real one: space comes first, before the key is looked at; and only `set` then drops what it would replace.
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
    // No more than the contract promises, so that nobody comes to rely on it here and misses it on another wire.
    const wanted = command.op === 'add' || (command.op === 'cas' && command.wantCas === true)
    return wanted ? { ...bare('ok'), cas: casOf(version) } : bare('ok')
  }

  private refusal(sizeBytes: number, nowSec: number): Status | undefined {
    if (sizeBytes > this.limits.maxItemBytes) return 'tooLarge'
    const { maxTotalBytes } = this.limits
    if (maxTotalBytes === undefined || this.totalBytes + sizeBytes <= maxTotalBytes) return undefined
    this.sweep(nowSec)
    // The old item still takes its room while the new one is made.
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
