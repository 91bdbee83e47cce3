/** One open file: its statements, and transactions that are carried out whole or not at all. */
import { Checkpoints } from './checkpoints.js'
import { openFile } from './database-file.js'
import { Items } from './items.js'
import { PAGE_BYTES, Room } from './room.js'
import type { FileStoreSettings } from './save-path.js'
import { BusyError, type Database, type Sqlite, type Statement, troubleOf } from './sqlite.js'
import type { StoreFiles } from './store-files.js'

export interface ConnectionOptions {
  readonly sqlite: Sqlite
  readonly settings: FileStoreSettings
  /** Absolute. */
  readonly directory: string
  /** A version that no item ever had. */
  readonly nextVersion: () => string
  /** Whether a key tells of running processes alone. */
  readonly isOfProcesses: (key: string) => boolean
}

/** Between two looks at the log: each takes 7 µs, which would be a fifth of a cycle. What is written until the next is lost where the process is killed. */
const LOOK_MS = 2
const LOOK_IDLE_MS = 500

/** SQLite failed as it made a transaction last; whether it did is not known. */
export class UncertainCommit extends Error {}

export class Connection {
  readonly files: StoreFiles
  readonly items: Items
  readonly room: Room
  private readonly checkpoints: Checkpoints
  private readonly database: Database
  private readonly beginReading: Statement<unknown>
  private readonly beginWriting: Statement<unknown>
  private readonly commit: Statement<unknown>
  private readonly rollback: Statement<unknown>
  private readonly claim: Statement<unknown>
  private readonly looking: NodeJS.Timeout
  /** Never at first: what was found as it was opened may have been taken away by now. */
  private lookedAtMs = -Infinity
  /** Others do not find the log any more. */
  private isLost = false
  /** It closes itself where its log was taken away. */
  isOpen = true

  /** Errors as of `openFile`. */
  constructor(options: ConnectionOptions, mayMake: boolean) {
    const { sqlite, settings, directory, nextVersion, isOfProcesses } = options
    const { database, files } = openFile(sqlite, settings, directory, mayMake)
    this.database = database
    this.files = files
    try {
      this.checkpoints = new Checkpoints(sqlite, database, files)
      this.room = new Room(database, settings.maxMiB === undefined ? undefined : settings.maxMiB * 1024 * 1024)
      this.items = new Items({ database, room: this.room, nextVersion, isOfProcesses })
      this.beginReading = database.prepare('BEGIN')
      this.beginWriting = database.prepare('BEGIN IMMEDIATE')
      this.commit = database.prepare('COMMIT')
      this.rollback = database.prepare('ROLLBACK')
      this.claim = database.prepare("UPDATE about SET value = ? WHERE name = 'cleared' AND (value <= ? OR value > ?)")
    } catch (error) {
      database.close()
      throw error
    }
    this.looking = setInterval(this.look, LOOK_IDLE_MS).unref()
  }

  /** Runs `work` on one state of the store, whatever others write meanwhile. Takes no lock that could keep one out. */
  reading<T>(work: () => T): T {
    this.beginReading.run()
    return this.ending(work)
  }

  /**
   * Runs `work` under the write lock. 'busy': another process has it, and nothing was done.
   *
   * @throws {UncertainCommit} it may have been done. Of every other error nothing was.
   */
  writing<T>(work: () => T): T | 'busy' {
    return this.changing(true, work)
  }

  /**
   * The same, but takes the write lock only when something is changed. 'busy' also if another process has written since
   * `work` first read, so that what it read is true as it writes.
   */
  readingAndWriting<T>(work: () => T): T | 'busy' {
    return this.changing(false, work)
  }

  private changing<T>(isLocked: boolean, work: () => T): T | 'busy' {
    const { writtenBytes } = this.items
    try {
      ;(isLocked ? this.beginWriting : this.beginReading).run()
      this.items.begin(isLocked)
      const result = this.ending(work)
      const bytes = this.items.writtenBytes - writtenBytes
      if (bytes > 0) this.checkpoints.note(bytes + PAGE_BYTES)
      return result
    } catch (error) {
      if (troubleOf(error) === 'busy') return 'busy'
      throw error
    }
  }

  /** Whether nobody has begun to clear for `everyMs`; then it is the caller's turn. */
  claimClearance(wallMs: number, everyMs: number): boolean {
    const claimed = this.writing(() => this.claim.run(wallMs, wallMs - everyMs, wallMs).changes)
    return claimed !== 'busy' && claimed !== 0
  }

  /** What a statement without parameters answers. */
  ask(sql: string): unknown[] {
    return this.database.prepare(sql).all()
  }

  /**
   * Whether others find the log. Where they do not, all of it is copied into the file and the connection closed: until every
   * process has done so nobody opens the store (`openFile`), so that none has a log of its own.
   *
   * @throws {BusyError} others do not find it, and not all of it is in the file yet. Who let go of it now could be the last
   *   but one to have it, and all of it would be lost where that one is killed.
   * @throws the system's error where it cannot be looked at, and SQLite's where it can never be copied.
   */
  hasItsLog(): boolean {
    const nowMs = performance.now()
    if (!this.isOpen) return false
    if (!this.isLost && nowMs - this.lookedAtMs < LOOK_MS) return true
    this.lookedAtMs = nowMs
    this.isLost ||= !this.files.hasItsLog
    if (!this.isLost) return true
    if (!this.checkpoints.copyAll()) throw new BusyError('the log was taken away, and is not copied yet')
    this.close()
    return false
  }

  /** Where the disk is full: whether the log takes less of it now. 'busy': it soon does. */
  makeRoom(): boolean | 'busy' {
    return this.checkpoints.shorten()
  }

  close(): void {
    this.isOpen = false
    clearInterval(this.looking)
    this.checkpoints.close()
    try {
      // SQLite itself does so only where no other process looks at the file in this moment.
      if (!this.files.hasItsLog) this.checkpoints.copyAll()
    } finally {
      this.database.close()
    }
  }

  /** For a process that has no requests now: others wait for it. */
  private readonly look = (): void => {
    try {
      this.hasItsLog()
    } catch {
      // The next request has its own error.
    }
  }

  private ending<T>(work: () => T): T {
    let result: T
    try {
      result = work()
    } catch (error) {
      this.undo()
      throw error
    }
    try {
      this.commit.run()
      return result
    } catch (error) {
      this.undo()
      // On a full disk the commit's last page was not written, so nothing was done. Other errors do not say what was.
      throw troubleOf(error) === 'full' ? error : new UncertainCommit('', { cause: error })
    }
  }

  private undo(): void {
    try {
      this.rollback.run()
    } catch {
      // SQLite undid it already.
    }
  }
}
