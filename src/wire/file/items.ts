/** The table of items, and what each command of a flight does to it. */
import type { Cas, Command, Reply, Status } from '../wire.js'
import { valueBytes } from '../wire.js'
import { bodySum, type Checksums, DamagedRecordError, headSum, type RecordHead } from './checksum.js'
import { PAGE_BYTES, type Room } from './room.js'
import type { Database, SqliteValue, Statement } from './sqlite.js'
import { ALIVE, aliveAt, isAlive, type Lifetime } from './lifetime.js'
import type { Instant, StoreClock } from './store-clock.js'

/**
 * A record and its lock are neighbours in this tree, mostly on one page, so a commit writes one page.
 *
 * `boot`: 0 of what is counted on the wall clock, else the start of the machine that `expires` counts from.
 * `ttl`: milliseconds; what has longer to live than it was given was written before the machine was started anew.
 * `head`, `body`: checksums.
 */
export const SCHEMA = `CREATE TABLE item (
  key TEXT PRIMARY KEY, version TEXT NOT NULL, flags INTEGER NOT NULL, boot INTEGER NOT NULL,
  expires INTEGER NOT NULL, ttl INTEGER NOT NULL, head INTEGER NOT NULL, body INTEGER NOT NULL, value BLOB NOT NULL
) STRICT, WITHOUT ROWID`

interface ItemRow extends RecordHead, Checksums {
  readonly value: Uint8Array
}

export interface KeyRow extends RecordHead, Checksums {
  readonly key: string
}

/** Whether what an item says of itself is what was stored; nothing is known of its value. */
export const isWhole = (row: KeyRow): boolean => row.head === headSum(row.key, row)

const isSound = (key: string, row: ItemRow): boolean => row.head === headSum(key, row) && row.body === bodySum(row.value)

/** Versions never repeat, so one is good on every connection. */
const AS_OF = 0
const casOf = (version: string): Cas => ({ version, asOf: AS_OF })
const bare = (status: Status): Reply => ({ status, value: undefined, flags: 0, cas: undefined })
const OK = bare('ok')
const MISSING = bare('missing')
const EXISTS = bare('exists')
const TOO_LARGE = bare('tooLarge')
export const NO_ROOM = bare('outOfMemory')

const whole = (status: Status, { value, flags, version }: ItemRow): Reply => ({
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

const HEAD = ['version', 'flags', 'boot', 'expires', 'ttl', 'head'] as const

export interface ItemsOptions {
  readonly database: Database
  readonly room: Room
  /** A version that no item ever had. */
  readonly nextVersion: () => string
  /** Whether a key tells of running processes alone, and is counted on the machine's clock. */
  readonly isOfProcesses: (key: string) => boolean
}

export class Items {
  private readonly getStatement: Statement<ItemRow>
  private readonly isThereStatement: Statement<unknown>
  private readonly addStatement: Statement<unknown>
  private readonly setStatement: Statement<unknown>
  private readonly casStatement: Statement<unknown>
  private readonly touchStatement: Statement<unknown>
  private readonly deleteStatement: Statement<unknown>
  private readonly cadStatement: Statement<unknown>
  private readonly pageStatement: Statement<KeyRow>
  private readonly neighboursStatement: Statement<KeyRow>
  private readonly removeStatement: Statement<unknown>
  /** By all commands so far, as it adds to the log: a page each, and values. */
  writtenBytes = 0

  constructor(private readonly options: ItemsOptions) {
    const { database } = options
    const names = [...HEAD, 'body', 'value']
    const columns = ['key', ...names].join(', ')
    const values = `VALUES (?${', ?'.repeat(names.length)})`
    const given = names.map((name) => `${name} = ?`).join(', ')
    const excluded = names.map((name) => `${name} = excluded.${name}`).join(', ')
    const heads = `SELECT key, ${HEAD.join(', ')} FROM item`
    this.getStatement = database.prepare(`SELECT ${names.join(', ')} FROM item WHERE key = ?`)
    this.isThereStatement = database.prepare('SELECT 1 FROM item WHERE key = ?')
    this.neighboursStatement = database.prepare(
      `SELECT * FROM (${heads} WHERE key < ? ORDER BY key DESC LIMIT 1) UNION ALL SELECT * FROM (${heads} WHERE key > ? ORDER BY key LIMIT 1)`,
    )
    this.addStatement = database.prepare(`INSERT INTO item (${columns}) ${values} ON CONFLICT (key) DO UPDATE SET ${excluded} WHERE NOT ${ALIVE}`)
    this.setStatement = database.prepare(`INSERT OR REPLACE INTO item (${columns}) ${values}`)
    this.casStatement = database.prepare(`UPDATE item SET ${given} WHERE key = ? AND version = ? AND ${ALIVE}`)
    this.touchStatement = database.prepare(`UPDATE item SET boot = ?, expires = ?, ttl = ?, head = ? WHERE key = ? AND version = ?`)
    this.deleteStatement = database.prepare(`DELETE FROM item WHERE key = ? AND ${ALIVE}`)
    this.cadStatement = database.prepare(`DELETE FROM item WHERE key = ? AND version = ? AND ${ALIVE}`)
    this.pageStatement = database.prepare(`${heads} WHERE key >= ? ORDER BY key LIMIT ?`)
    this.removeStatement = database.prepare(`DELETE FROM item WHERE key = ? AND NOT ${ALIVE}`)
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
        this.hasChanged(this.touchStatement.run(head.boot, head.expires, head.ttl, headSum(key, head), key, version))
        return { ...OK, cas: casOf(version) }
      }
      case 'delete':
        return this.hasChanged(this.deleteStatement.run(key, ...aliveAt(clock.now()))) ? OK : MISSING
      case 'cad':
        if (this.hasChanged(this.cadStatement.run(key, command.cas.version, ...aliveAt(clock.now())))) return OK
        return this.find(key, clock) === undefined ? MISSING : EXISTS
    }
  }

  /** Keys from `from` on, in their order, dead ones included. Reads no value. */
  page(from: string, count: number): readonly KeyRow[] {
    return this.pageStatement.all(from, count)
  }

  /** Removes an item if it has expired; whether it did. */
  remove(key: string, now: Instant): boolean {
    return this.hasChanged(this.removeStatement.run(key, ...aliveAt(now)))
  }

  /** Milliseconds that an item has left. */
  ttlMs(key: string, clock: StoreClock): number | undefined {
    const item = this.find(key, clock)
    const now = clock.now()
    return item === undefined ? undefined : item.expires - (item.boot === 0 ? now.wallMs : now.bootMs)
  }

  private store(command: Store, clock: StoreClock): Reply {
    const { key, ttlSec, flags = 0 } = command
    // Space comes first, before the key is looked at, as on other stores.
    if (this.options.room.isTooLarge(command)) return TOO_LARGE
    // A lock, and the end of a session, are small and find room always: else nobody could end one to make some.
    const mustFit = command.value.length > (this.options.isOfProcesses(key) ? MOST_LOCK_BYTES : 0)
    if (mustFit && !this.options.room.take(command)) return NO_ROOM
    if (command.op === 'add' && this.isThereStatement.get(key) !== undefined) {
      const occupant = this.find(key, clock)
      if (occupant !== undefined) return whole('exists', occupant)
    }
    const value = valueBytes(command.value)
    const now = clock.now()
    const { boot, expires, ttl } = this.lifetime(key, ttlSec, now)
    const version = this.options.nextVersion()
    const head = headSum(key, { version, flags, boot, expires, ttl })
    const row: SqliteValue[] = [version, flags, boot, expires, ttl, head, bodySum(value), value]
    this.writtenBytes += value.length
    switch (command.op) {
      case 'add':
        return this.hasChanged(this.addStatement.run(key, ...row, ...aliveAt(now))) ? { ...OK, cas: casOf(version) } : EXISTS
      case 'set':
        this.hasChanged(this.setStatement.run(key, ...row))
        return OK
      case 'cas':
        if (this.hasChanged(this.casStatement.run(...row, key, command.cas.version, ...aliveAt(now)))) {
          return command.wantCas === true ? { ...OK, cas: casOf(version) } : OK
        }
        return this.find(key, clock) === undefined ? MISSING : EXISTS
    }
  }

  /** How many items are not what was stored. */
  damaged(): number {
    let damaged = 0
    for (let page = this.page('', EXAMINED_AT_ONCE); page.length > 0; page = this.page(`${page.at(-1)?.key ?? ''}\0`, EXAMINED_AT_ONCE)) {
      for (const { key } of page) {
        const item = this.getStatement.get(key)
        if (item === undefined || !isSound(key, item)) damaged++
      }
    }
    return damaged
  }

  private find(key: string, clock: StoreClock): ItemRow | undefined {
    const item = this.getStatement.get(key)
    if (item === undefined) {
      this.checkNeighbours(key)
      return undefined
    }
    if (!isSound(key, item)) throw new DamagedRecordError('the checksum of a session is another one')
    return isAlive(item, clock.now()) ? item : undefined
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

  private hasChanged({ changes }: { readonly changes: number | bigint }): boolean {
    if (changes === 0) return false
    this.writtenBytes += PAGE_BYTES
    return true
  }

  private lifetime(key: string, ttlSec: number, { wallMs, bootMs, boot }: Instant): Lifetime {
    const ttl = ttlSec * 1000
    return this.options.isOfProcesses(key) ? { boot, expires: bootMs + ttl, ttl } : { boot: 0, expires: wallMs + ttl, ttl }
  }
}
