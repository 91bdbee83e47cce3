/** The items of a store, and what each command of a flight does to them. */
import { EXISTS, MISSING, OK, OUT_OF_MEMORY, TOO_LARGE } from '../reply.js'
import type { Cas, Command, Reply, Status } from '../wire.js'
import { valueBytes } from '../wire.js'
import { bodySum, DamagedRecordError, headSum, headText } from './checksum.js'
import { aliveAt, isAlive, type Lifetime } from './lifetime.js'
import type { Room } from './room.js'
import type { Database, Statement } from './sqlite.js'
import type { Instant, StoreClock } from './store-clock.js'
import { headOf, isSound, isWhole, type KeyRow, preparePage, prepareNeighbours, Table } from './table.js'

/** An item that is alive, and what was stored. */
interface Found {
  readonly version: string
  readonly flags: number
  readonly value: Uint8Array
}

/** Versions never repeat, so one is good on every connection. */
const AS_OF = 0
const casOf = (version: string): Cas => ({ version, asOf: AS_OF })

const whole = (status: Status, { value, flags, version }: Found): Reply => ({
  status,
  value: Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength),
  flags,
  cas: casOf(version),
})

type Store = Extract<Command, { readonly op: 'add' | 'set' | 'cas' }>
export const isStore = (command: Command): command is Store =>
  command.op === 'add' || command.op === 'set' || command.op === 'cas'

const EXAMINED_AT_ONCE = 1000
/** Of its value: who holds it, and since when. */
const MOST_LOCK_BYTES = 512

export interface ItemsOptions {
  readonly database: Database
  readonly room: Room
  /** A version that no item ever had. */
  readonly nextVersion: () => string
  /** Whether a key tells of running processes alone, and is counted on the machine's clock. */
  readonly isOfProcesses: (key: string) => boolean
}

export class Items {
  private readonly records: Table
  private readonly locks: Table
  private readonly pageStatement: Statement<KeyRow>
  private readonly neighboursStatement: Statement<KeyRow>
  /** Whether the transaction has the write lock, as far as is known here. */
  private isLocked = false
  /** By all commands so far, as it adds to the log, beside one page a transaction. */
  writtenBytes = 0

  constructor(private readonly options: ItemsOptions) {
    const { database } = options
    this.records = new Table(database, 'item')
    this.locks = new Table(database, 'lock')
    this.pageStatement = preparePage(database)
    this.neighboursStatement = prepareNeighbours(database)
  }

  /** Before the first command of a transaction: whether it has the write lock from the start. */
  begin(isLocked: boolean): void {
    this.isLocked = isLocked
  }

  /** What the command finds, as far as that can be told without writing; undefined of what would change something. */
  read(command: Command, clock: StoreClock): Reply | undefined {
    if (command.op !== 'get' && command.op !== 'add') return undefined
    if (command.op === 'add') {
      // Its room is asked for first, and that is done under the write lock.
      if (this.options.room.isTight) return undefined
      if (this.options.room.isTooLarge(command)) return TOO_LARGE
    }
    const item = this.find(command.key, clock)
    if (command.op === 'get') return item === undefined ? MISSING : whole('ok', item)
    return item === undefined ? undefined : whole('exists', item)
  }

  /**
   * Carries out any command. What it finds without changing anything it finds without the write lock: SQLite takes that
   * at the first change, or fails as busy, also if another process has written since the transaction first read.
   *
   * @param clock is asked for the time after the first reading.
   */
  run(command: Command, clock: StoreClock): Reply {
    if (isStore(command)) return this.store(command, clock)
    const { key } = command
    switch (command.op) {
      case 'get': {
        const item = this.find(key, clock)
        return item === undefined ? MISSING : whole('ok', item)
      }
      case 'touch': {
        const item = this.find(key, clock)
        if (item === undefined) return MISSING
        const { version, flags } = item
        const head = { version, flags, ...this.lifetime(key, command.ttlSec, clock.now()) }
        const table = this.tableOf(key)
        this.hasChanged(table, table.touch.run(head.boot, head.expires, head.ttl, headSum(headText(key, head)), key, version))
        return { ...OK, cas: casOf(version) }
      }
      case 'delete': {
        const table = this.tableOf(key)
        return this.hasChanged(table, table.delete.run(key, ...aliveAt(clock.now()))) ? OK : MISSING
      }
      case 'cad': {
        const table = this.tableOf(key)
        if (this.hasChanged(table, table.cad.run(key, command.cas.version, ...aliveAt(clock.now())))) return OK
        return this.find(key, clock) === undefined ? MISSING : EXISTS
      }
    }
  }

  /** Keys from `from` on, in their order, dead ones included. Reads no value. */
  page(from: string, count: number): readonly KeyRow[] {
    return this.pageStatement.all(from, from, count)
  }

  /** Removes an item if it has expired; whether it did. */
  remove(key: string, now: Instant): boolean {
    const table = this.tableOf(key)
    return this.hasChanged(table, table.removeDead.run(key, ...aliveAt(now)))
  }

  /** Milliseconds that an item has left. */
  ttlMs(key: string, clock: StoreClock): number | undefined {
    const [row] = this.page(key, 1)
    if (row?.key !== key) return undefined
    if (!isWhole(row)) throw new DamagedRecordError('the checksum of an item is another one')
    const head = headOf(row)
    const now = clock.now()
    return isAlive(head, now) ? head.expires - (head.boot === 0 ? now.wallMs : now.bootMs) : undefined
  }

  private store(command: Store, clock: StoreClock): Reply {
    const { key, ttlSec, flags = 0 } = command
    // Space comes first, before the key is looked at, as on other stores.
    if (this.options.room.isTooLarge(command)) return TOO_LARGE
    // A lock, and the end of a session, are small and find room always: else nobody could end one to make some.
    const mustFit = command.value.length > (this.options.isOfProcesses(key) ? MOST_LOCK_BYTES : 0)
    if (mustFit && !this.options.room.take(command)) return OUT_OF_MEMORY
    const table = this.tableOf(key)
    // A key that is taken is answered without the write lock; with it, the statement that stores finds out.
    if (command.op === 'add' && !this.isLocked && table.isThere.get(key) !== undefined) {
      const occupant = this.find(key, clock)
      if (occupant !== undefined) return whole('exists', occupant)
    }
    const value = valueBytes(command.value)
    const now = clock.now()
    const { boot, expires, ttl } = this.lifetime(key, ttlSec, now)
    const version = this.options.nextVersion()
    const head = headSum(headText(key, { version, flags, boot, expires, ttl }))
    const body = bodySum(value)
    this.writtenBytes += value.length
    switch (command.op) {
      case 'add':
        if (!this.hasChanged(table, table.add.run(key, version, flags, boot, expires, ttl, head, body, value))) {
          const occupant = this.find(key, clock)
          if (occupant !== undefined) return whole('exists', occupant)
          this.hasChanged(table, table.set.run(key, version, flags, boot, expires, ttl, head, body, value))
        }
        return { ...OK, cas: casOf(version) }
      case 'set':
        this.hasChanged(table, table.set.run(key, version, flags, boot, expires, ttl, head, body, value))
        return OK
      case 'cas': {
        const { cas, wantCas } = command
        if (this.hasChanged(table, table.cas.run(version, flags, boot, expires, ttl, head, body, value, key, cas.version, ...aliveAt(now)))) {
          return wantCas === true ? { ...OK, cas: casOf(version) } : OK
        }
        return this.find(key, clock) === undefined ? MISSING : EXISTS
      }
    }
  }

  /** How many items are not what was stored. */
  damaged(): number {
    let damaged = 0
    for (let page = this.page('', EXAMINED_AT_ONCE); page.length > 0; page = this.page(`${page.at(-1)?.key ?? ''}\0`, EXAMINED_AT_ONCE)) {
      for (const { key } of page) {
        // Whoever examines a store need not know which keys are locks.
        const item = this.records.get.get(key) ?? this.locks.get.get(key)
        if (item === undefined || !isSound(item)) damaged++
      }
    }
    return damaged
  }

  private tableOf(key: string): Table {
    return this.options.isOfProcesses(key) ? this.locks : this.records
  }

  private find(key: string, clock: StoreClock): Found | undefined {
    const row = this.tableOf(key).get.get(key)
    if (row === undefined) {
      this.checkNeighbours(key)
      return undefined
    }
    if (!isSound(row)) throw new DamagedRecordError('the checksum of a session is another one')
    const { version, flags, boot, expires, ttl } = headOf(row)
    return isAlive({ boot, expires, ttl }, clock.now()) ? { version, flags, value: row.value } : undefined
  }

  /**
   * A key that was damaged is not found, and still stands where it stood: between the same two. Without a look at them
   * a visitor whose session is damaged there would be given an empty one.
   */
  private checkNeighbours(key: string): void {
    if (this.options.isOfProcesses(key)) return
    if (this.neighboursStatement.all(key, key).every(isWhole)) return
    throw new DamagedRecordError('the checksum of a session beside the one that is looked for is another one')
  }

  private hasChanged({ rowLogBytes }: Table, { changes }: { readonly changes: number | bigint }): boolean {
    // Also a statement that finds nothing to change has taken it.
    this.isLocked = true
    if (changes === 0) return false
    this.writtenBytes += rowLogBytes
    return true
  }

  private lifetime(key: string, ttlSec: number, { wallMs, bootMs, boot }: Instant): Lifetime {
    const ttl = ttlSec * 1000
    return this.options.isOfProcesses(key) ? { boot, expires: bootMs + ttl, ttl } : { boot: 0, expires: wallMs + ttl, ttl }
  }
}
