/** The two tables of a store, and the statements on one of them. */
import { bodySum, type Checksums, headSum, type RecordHead } from './checksum.js'
import { ALIVE } from './lifetime.js'
import { PAGE_BYTES } from './room.js'
import type { Database, Statement } from './sqlite.js'

/**
 * Locks have a table of their own, of a page or two: all locks that a turn takes are written with one page, where beside
 * their records each would take the page of its record.
 */
const TABLES = ['item', 'lock'] as const

/**
 * `boot`: 0 of what is counted on the wall clock, else the start of the machine that `expires` counts from.
 * `ttl`: milliseconds; what has longer to live than it was given was written before the machine was started anew.
 * `head`, `body`: checksums.
 */
export const SCHEMA = TABLES.map(
  (name) => `CREATE TABLE ${name} (
  key TEXT PRIMARY KEY, version TEXT NOT NULL, flags INTEGER NOT NULL, boot INTEGER NOT NULL,
  expires INTEGER NOT NULL, ttl INTEGER NOT NULL, head INTEGER NOT NULL, body INTEGER NOT NULL, value BLOB NOT NULL
) STRICT, WITHOUT ROWID`,
).join(';\n')

/** `said`: key, version, flags, boot, expires and ttl as one text, that of `headText`: it costs less than six columns. */
interface SaidRow extends Checksums {
  readonly said: string
}

export interface ItemRow extends SaidRow {
  readonly value: Uint8Array
}

export interface KeyRow extends SaidRow {
  readonly key: string
}

/** Whether what an item says of itself is what was stored; nothing is known of its value. */
export const isWhole = ({ said, head }: SaidRow): boolean => head === headSum(said)

export const isSound = (row: ItemRow): boolean => isWhole(row) && row.body === bodySum(row.value)

/** Of a row that is whole. */
export function headOf({ said }: SaidRow): RecordHead {
  const version = said.indexOf(' ') + 1
  const flags = said.indexOf(' ', version) + 1
  const boot = said.indexOf(' ', flags) + 1
  const expires = said.indexOf(' ', boot) + 1
  const ttl = said.indexOf(' ', expires) + 1
  return {
    version: said.slice(version, flags - 1),
    flags: numberAt(said, flags),
    boot: numberAt(said, boot),
    expires: numberAt(said, expires),
    ttl: numberAt(said, ttl),
  }
}

/** The whole number that begins there. `split` and `Number` take a microsecond a row. */
function numberAt(text: string, from: number): number {
  let number = 0
  for (let at = from, digit = digitAt(text, at); digit >= 0; digit = digitAt(text, ++at)) number = number * 10 + digit
  return number
}

const ZERO = '0'.charCodeAt(0)
/** Negative of a space, NaN behind the end. */
const digitAt = (text: string, at: number): number => text.charCodeAt(at) - ZERO

const LOCK_BYTES = 256
const NAMES = ['version', 'flags', 'boot', 'expires', 'ttl', 'head', 'body', 'value']
const VALUES = `VALUES (?${', ?'.repeat(NAMES.length)})`
const GIVEN = NAMES.map((name) => `${name} = ?`).join(', ')
const SAID = `${['key', 'version', 'flags', 'boot', 'expires', 'ttl'].join(" || ' ' || ")} AS said, head, body`

/** Values in the order of the columns, key first; what must be alive has the four values of `aliveAt` last. */
export class Table {
  readonly get: Statement<ItemRow>
  readonly isThere: Statement<unknown>
  /** Where nothing is, be it alive or dead. */
  readonly add: Statement<unknown>
  readonly set: Statement<unknown>
  /** The key, and the version that it must have, come behind the values. */
  readonly cas: Statement<unknown>
  readonly touch: Statement<unknown>
  readonly delete: Statement<unknown>
  readonly cad: Statement<unknown>
  readonly removeDead: Statement<unknown>
  /** What a row that is changed adds to the log, beside its value: a record takes its page along, locks share theirs. */
  readonly rowLogBytes: number

  constructor(database: Database, name: (typeof TABLES)[number]) {
    this.rowLogBytes = name === 'lock' ? LOCK_BYTES : PAGE_BYTES
    const columns = ['key', ...NAMES].join(', ')
    this.get = database.prepare(`SELECT ${SAID}, value FROM ${name} WHERE key = ?`)
    this.isThere = database.prepare(`SELECT 1 FROM ${name} WHERE key = ?`)
    this.add = database.prepare(`INSERT OR IGNORE INTO ${name} (${columns}) ${VALUES}`)
    this.set = database.prepare(`INSERT OR REPLACE INTO ${name} (${columns}) ${VALUES}`)
    this.cas = database.prepare(`UPDATE ${name} SET ${GIVEN} WHERE key = ? AND version = ? AND ${ALIVE}`)
    this.touch = database.prepare(`UPDATE ${name} SET boot = ?, expires = ?, ttl = ?, head = ? WHERE key = ? AND version = ?`)
    this.delete = database.prepare(`DELETE FROM ${name} WHERE key = ? AND ${ALIVE}`)
    this.cad = database.prepare(`DELETE FROM ${name} WHERE key = ? AND version = ? AND ${ALIVE}`)
    this.removeDead = database.prepare(`DELETE FROM ${name} WHERE key = ? AND NOT ${ALIVE}`)
  }
}

/** Items of both tables, in the order of their keys: of the key that is given for each, and of those that follow; so many. */
export const preparePage = (database: Database): Statement<KeyRow> =>
  database.prepare(`${TABLES.map((name) => `SELECT key, ${SAID} FROM ${name} WHERE key >= ?`).join(' UNION ALL ')} ORDER BY key LIMIT ?`)

/** The records before and behind a key. */
export function prepareNeighbours(database: Database): Statement<KeyRow> {
  const rows = `SELECT key, ${SAID} FROM item WHERE key`
  return database.prepare(`SELECT * FROM (${rows} < ? ORDER BY key DESC LIMIT 1) UNION ALL SELECT * FROM (${rows} > ? ORDER BY key LIMIT 1)`)
}
