/** SQLite, as far as the store needs it: a seam of few methods, behind it whichever of two libraries is at hand. */
import { createRequire } from 'node:module'
import { UnsupportedStoreError } from '../wire.js'
import { DamagedRecordError } from './checksum.js'

export type SqliteValue = string | number | Uint8Array

/** A statement that is kept: to prepare one costs more than to run it. */
export interface Statement<Row> {
  get(...values: SqliteValue[]): Row | undefined
  all(...values: SqliteValue[]): Row[]
  run(...values: SqliteValue[]): { readonly changes: number | bigint }
}

/** One connection to a database file. Both libraries have just these methods, under these names. */
export interface Database {
  /** What rows look like is for the SQL to say: tables are STRICT, so that a column holds what it was declared as. */
  prepare<Row = unknown>(sql: string): Statement<Row>
  /** For what is done once: settings and tables. */
  exec(sql: string): void
  close(): void
}

export interface Sqlite {
  readonly name: 'node:sqlite' | 'better-sqlite3'
  /** What `require` of another thread finds it under. */
  readonly library: string
  /** Opens a file, which is made if it is missing. Never waits for a lock: see `FlightQueue`. */
  open(path: string): Database
}

interface NodeSqlite {
  readonly DatabaseSync: new (path: string) => Database
}
type BetterSqlite = new (path: string, options: { readonly timeout: number }) => Database

let loading: Promise<Sqlite> | undefined

/**
 * node:sqlite where Node has it (22.13 and later), else better-sqlite3 where it is installed.
 *
 * @throws {UnsupportedStoreError} there is neither; the message says what to install.
 */
export function loadSqlite(): Promise<Sqlite> {
  loading ??= load()
  return loading
}

async function load(): Promise<Sqlite> {
  const own = withoutItsWarning(() => (process as Partial<NodeJS.Process>).getBuiltinModule?.('node:sqlite'))
  if (isNodeSqlite(own)) return { name: 'node:sqlite', library: 'node:sqlite', open: (path) => new own.DatabaseSync(path) }
  // Not a literal: neither the compiler nor a bundler must look for what only some have installed.
  const name: string = 'better-sqlite3'
  try {
    const Better = constructorIn(await import(name))
    if (Better !== undefined) return { name: 'better-sqlite3', library: loadedFrom(name), open: (path) => new Better(path, { timeout: 0 }) }
    throw new TypeError('it has another shape')
  } catch (cause) {
    const problem = `A save path that begins with file: needs SQLite, which Node ${process.versions.node} does not have`
    throw Object.assign(
      new UnsupportedStoreError(`${problem}. Run Node 22.13 or later, or install it beside latchkey: npm install better-sqlite3@12`),
      { cause },
    )
  }
}

/** A thread that is started from text has no folder to look from, so it is told the file that was found from here. */
function loadedFrom(name: string): string {
  const loaded = Object.keys(createRequire(`${process.cwd()}/`).cache)
  return loaded.find((path) => path.replaceAll('\\', '/').endsWith(`/${name}/lib/index.js`)) ?? name
}

const isNodeSqlite = (module: unknown): module is NodeSqlite =>
  typeof module === 'object' && module !== null && 'DatabaseSync' in module && typeof module.DatabaseSync === 'function'

const isConstructor = (value: unknown): value is BetterSqlite => typeof value === 'function'

function constructorIn(module: unknown): BetterSqlite | undefined {
  if (isConstructor(module)) return module
  if (typeof module !== 'object' || module === null || !('default' in module)) return undefined
  return module.default === module ? undefined : constructorIn(module.default)
}

/**
 * Node warns of node:sqlite as it is loaded, on every start of an application that has not chosen it. That one warning
 * is held back, in this one call; every other goes where it would have gone.
 */
function withoutItsWarning<T>(work: () => T): T {
  const told: unknown = Reflect.get(process, 'emitWarning')
  if (typeof told !== 'function') return work()
  const filtered = (...args: readonly unknown[]): void => {
    if (!/^SQLite is an experimental feature/.test(String(args[0]))) Reflect.apply(told, process, args)
  }
  Reflect.set(process, 'emitWarning', filtered)
  try {
    return work()
  } finally {
    Reflect.set(process, 'emitWarning', told)
  }
}

/** What an error of SQLite, or a checksum, means to the store. */
export type Trouble = 'busy' | 'full' | 'damaged' | 'other'

/** SQLite's result codes that we tell apart; https://www.sqlite.org/rescode.html */
const BY_NUMBER: Readonly<Record<number, Trouble>> = { 5: 'busy', 6: 'busy', 11: 'damaged', 13: 'full', 26: 'damaged' }
const BY_NAME: Readonly<Record<string, Trouble>> = {
  BUSY: 'busy',
  LOCKED: 'busy',
  CORRUPT: 'damaged',
  FULL: 'full',
  NOTADB: 'damaged',
}

/** Another process is at what has to be done, which SQLite itself has no error for. Nothing was done. */
export class BusyError extends Error {
  override readonly name = 'BusyError'
}

export function troubleOf(error: unknown): Trouble {
  if (!(error instanceof Error)) return 'other'
  if (error instanceof DamagedRecordError) return 'damaged'
  if (error instanceof BusyError) return 'busy'
  if ('errcode' in error && typeof error.errcode === 'number') return BY_NUMBER[error.errcode & 0xff] ?? 'other'
  const [, name] = 'code' in error && typeof error.code === 'string' ? (/^SQLITE_([A-Z]+)/.exec(error.code) ?? []) : []
  return name === undefined ? 'other' : (BY_NAME[name] ?? 'other')
}
