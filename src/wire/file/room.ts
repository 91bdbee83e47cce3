/** How much room there is. Asked for before a write: SQLite's own limit would undo all of a turn's flights at once. */
import { type Command, type Value, valueBytes } from '../wire.js'
import type { Database, Statement } from './sqlite.js'

/** As memcached's, so that a session that fits here fits there. */
const MOST_ITEM_BYTES = 1024 * 1024
/** Version, flags, dates and the tree's own bytes of an item. */
const OVERHEAD_BYTES = 64
export const PAGE_BYTES = 4096

type Item = Extract<Command, { readonly value: unknown }>

const lengthOf = (value: Value): number => (typeof value === 'string' ? value.length : valueBytes(value).length)

export const largestValueBytes = (keyBytes: number): number => MOST_ITEM_BYTES - OVERHEAD_BYTES - keyBytes

export class Room {
  private readonly pagesCount: Statement<{ readonly page_count: number }>
  private readonly freeCount: Statement<{ readonly freelist_count: number }>
  private leftBytes = Infinity

  /** @param maxBytes of all items together; undefined: as large as the disk. */
  constructor(
    database: Database,
    private readonly maxBytes: number | undefined,
  ) {
    this.pagesCount = database.prepare('PRAGMA page_count')
    this.freeCount = database.prepare('PRAGMA freelist_count')
  }

  /** What is in use, in bytes: pages that are free will be used again. */
  get usedBytes(): number {
    return ((this.pagesCount.get()?.page_count ?? 0) - (this.freeCount.get()?.freelist_count ?? 0)) * PAGE_BYTES
  }

  /** Once in a transaction that writes: only then does nobody else take what is left. */
  measure(): void {
    if (this.maxBytes !== undefined) this.leftBytes = this.maxBytes - this.usedBytes
  }

  /** Whether the next write may be refused. */
  get isTight(): boolean {
    return this.leftBytes <= MOST_ITEM_BYTES
  }

  isTooLarge({ key, value }: Item): boolean {
    return lengthOf(value) > largestValueBytes(key.length)
  }

  /** Whether there is room for an item, which it then has. */
  take({ key, value }: Item): boolean {
    const bytes = key.length + lengthOf(value) + OVERHEAD_BYTES
    if (bytes > this.leftBytes) return false
    this.leftBytes -= bytes
    return true
  }
}
