/** One open file: its statements, and transactions that are carried out whole or not at all. */
import { Checkpoints } from './checkpoints.js'
import { type FileIdentity, fileIn, openFile } from './database-file.js'
import { Items } from './items.js'
import { PAGE_BYTES, Room } from './room.js'
import type { FileStoreSettings } from './save-path.js'
import { type Database, type Sqlite, type Statement, troubleOf } from './sqlite.js'

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

/** SQLite failed as it made a transaction last; whether it did is not known. */
export class UncertainCommit extends Error {}

export class Connection {
  readonly identity: FileIdentity
  readonly items: Items
  readonly room: Room
  private readonly checkpoints: Checkpoints
  private readonly database: Database
  private readonly beginReading: Statement<unknown>
  private readonly beginWriting: Statement<unknown>
  private readonly commit: Statement<unknown>
  private readonly rollback: Statement<unknown>
  private readonly claim: Statement<unknown>

  /** Errors as of `openFile`. */
  constructor(options: ConnectionOptions, mayMake: boolean) {
    const { sqlite, settings, directory, nextVersion, isOfProcesses } = options
    const { database, identity } = openFile(sqlite, settings, directory, mayMake)
    this.database = database
    this.identity = identity
    this.checkpoints = new Checkpoints(sqlite, fileIn(directory))
    try {
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

  close(): void {
    this.checkpoints.close()
    this.database.close()
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
