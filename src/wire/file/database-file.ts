/** The file of a store: made whole or not at all, and looked at before it is trusted. */
import { randomBytes } from 'node:crypto'
import { closeSync, linkSync, openSync, renameSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { UnsupportedStoreError } from '../wire.js'
import { areOthersWriting, checkDirectory, makeDirectory } from './directory.js'
import { behindDoor } from './door.js'
import { PAGE_BYTES } from './room.js'
import type { FileStoreSettings } from './save-path.js'
import { type Database, type Sqlite, troubleOf } from './sqlite.js'
import { indexOf, LEAST_BYTES, logOf, look, StoreFiles } from './store-files.js'
import { SCHEMA } from './table.js'

/** "lkey": whose file it is. */
const APPLICATION_ID = 0x6c6b6579
const FORMAT = 3
const CACHE_KIB = 8192

export const fileIn = (directory: string): string => join(directory, 'sessions.db')

/** The file is damaged, or not what it was; the message says what to do, as the end of a sentence. */
export class DamagedStoreError extends Error {
  override readonly name = 'DamagedStoreError'
}

/** Another process has the store open, and its log, or the log's index, has no name any more. */
export class LostLogError extends DamagedStoreError {}

export interface OpenFile {
  readonly database: Database
  readonly files: StoreFiles
}

/**
 * Opens the store's file.
 *
 * @param mayMake makes what is missing. Not where it was there before: whoever took it away took all sessions, and an
 *   empty store in its place would tell every visitor that there never was one.
 * @throws {UnsupportedStoreError} the directory or the file is not one that we may use.
 * @throws {LostLogError} somebody has taken away the log that another process uses.
 * @throws {DamagedStoreError} it is gone or damaged.
 * @throws SQLite's error, or the system's.
 */
export function openFile(sqlite: Sqlite, settings: FileStoreSettings, directory: string, mayMake: boolean): OpenFile {
  const path = fileIn(directory)
  if (mayMake) makeDirectory(directory)
  else if (look(directory) === undefined) throw new DamagedStoreError(`${directory} is not there. ${RESTART}`)
  checkDirectory(directory)
  if (!mayMake && look(path) === undefined) throw new DamagedStoreError(`${path} is not there. ${RESTART}`)
  return behindDoor(sqlite, path, () => {
    if (mayMake && look(path) === undefined) make(sqlite, path)
    checkFile(path)
    return openFound(sqlite, settings, path)
  })
}

function checkFile(path: string): void {
  const found = statSync(path)
  if (found.size < LEAST_BYTES) throw new DamagedStoreError(`${path} was cut off (${String(found.size)} bytes). ${REPAIR}`)
  if (areOthersWriting(found)) {
    throw new UnsupportedStoreError(`Other users can write to ${path}, and could change any session. Take their permission: chmod 600 ${path}`)
  }
}

/** Behind the door. What is found by its name is what others use, if it has the name still when SQLite has opened it. */
function openFound(sqlite: Sqlite, settings: FileStoreSettings, path: string): OpenFile {
  const found = StoreFiles.find(path)
  if (found === undefined) assertUnused(sqlite, path)
  const database = sqlite.open(path)
  try {
    prepare(database, settings)
    checkFormat(database, path)
    const files = found ?? StoreFiles.find(path)
    if (files?.hasItsLog !== true) throw lostLog(path)
    return { database, files }
  } catch (error) {
    try {
      if (found?.hasItsLog !== false) throw error
      // It was taken away in this moment, and SQLite has made an empty one, which others would take for theirs.
      found.removeStrays()
      throw lostLog(path, error)
    } finally {
      database.close()
    }
  }
}

const RESTART = 'If it was taken away, put it back, or start the processes anew to begin with an empty store'
/** A log that is left would be played back into the copy. */
const REPAIR =
  'End all processes, remove it with its -wal and -shm, and put a copy of it back, or begin with an empty store; the sessions in it are lost then'

/**
 * Where there is no log, or no index of it, nobody uses the store, or somebody took it away from those who do. SQLite would begin
 * a new one, without what is in theirs, and write past them. In its exclusive mode it opens only what nobody else has open.
 */
function assertUnused(sqlite: Sqlite, path: string): void {
  const database = sqlite.open(path)
  try {
    database.exec('PRAGMA locking_mode = EXCLUSIVE')
    database.exec('PRAGMA user_version')
  } catch (cause) {
    if (troubleOf(cause) !== 'busy') throw cause
    throw lostLog(path, cause)
  } finally {
    database.close()
  }
}

const lostLog = (path: string, cause?: unknown): LostLogError =>
  new LostLogError(`${path} is in use by another process, and its log was taken away. End that process; what it has written is kept`, { cause })

/** Under another name first: nobody ever finds a file without its tables, and an empty one is a damaged one. */
function make(sqlite: Sqlite, path: string): void {
  // A log that killed processes have left of a file that was here before: SQLite would play it back into this one.
  for (const left of [logOf(path), indexOf(path)]) rmSync(left, { force: true })
  const draft = `${path}.${randomBytes(6).toString('hex')}`
  // By us, and not by SQLite: it would let everybody read it.
  closeSync(openSync(draft, 'wx', 0o600))
  try {
    const database = sqlite.open(draft)
    try {
      database.exec(`PRAGMA page_size = ${String(PAGE_BYTES)}; PRAGMA journal_mode = WAL`)
      database.exec(`${SCHEMA};
        CREATE TABLE about (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
        INSERT INTO about VALUES ('cleared', 0);
        PRAGMA application_id = ${String(APPLICATION_ID)};
        PRAGMA user_version = ${String(FORMAT)}`)
    } finally {
      database.close()
    }
    place(draft, path)
  } finally {
    for (const one of [draft, logOf(draft), indexOf(draft)]) rmSync(one, { force: true })
  }
}

/** Of two processes that make it the first wins, and the other one uses that. */
function place(draft: string, path: string): void {
  try {
    linkSync(draft, path)
  } catch (error) {
    if (look(path) !== undefined) return
    // A file system without hard links.
    if (!(error instanceof Error && 'code' in error && ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(String(error.code)))) throw error
    renameSync(draft, path)
  }
}

function prepare(database: Database, { survives }: FileStoreSettings): void {
  for (const setting of [
    // SQLite would wait on the event loop's own thread.
    'busy_timeout = 0',
    `synchronous = ${survives === 'power' ? 'FULL' : 'NORMAL'}`,
    // `Checkpoints` does it.
    'wal_autocheckpoint = 0',
    `cache_size = -${String(CACHE_KIB)}`,
    'cell_size_check = ON',
    'trusted_schema = OFF',
  ]) {
    database.exec(`PRAGMA ${setting}`)
  }
}

function checkFormat(database: Database, path: string): void {
  const number = (name: string): unknown => {
    const row: unknown = database.prepare(`PRAGMA ${name}`).get()
    return typeof row === 'object' && row !== null ? Object.values(row)[0] : undefined
  }
  if (number('application_id') !== APPLICATION_ID) {
    throw new UnsupportedStoreError(`${path} is a database of something else. Name another directory in the save path`)
  }
  const format = number('user_version')
  if (format !== FORMAT) {
    throw new UnsupportedStoreError(
      `${path} has format ${String(format)}, and this version of latchkey reads ${String(FORMAT)}. Use the version that made it, or another directory`,
    )
  }
  if (number('journal_mode') !== 'wal') throw new DamagedStoreError(`${path} is not in WAL mode. ${REPAIR}`)
}
