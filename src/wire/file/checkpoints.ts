/**
 * Copies the log into the file, on a thread of its own: it ends with a flush of the disk, which takes 5 to 100 ms, and
 * SQLite's own way is to have a commit now and then do that, on the thread of the event loop.
 */
import { dirname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { freeBytes } from './directory.js'
import { doorOf, LOCK_DOOR } from './door.js'
import { PAGE_BYTES } from './room.js'
import { type Database, type Sqlite, type Statement, troubleOf } from './sqlite.js'
import type { StoreFiles } from './store-files.js'

/** Each time a page is copied once, however often it is in the log: the longer the log, the less there is to do. */
const MOST_DUE_BYTES = 32 * 1024 * 1024
const LEAST_DUE_BYTES = 1024 * 1024
/** Of a small disk: else its log alone would fill it, and nothing could be stored, nor ended, any more. */
const SHARE_OF_DISK = 1 / 8
/** Under a load that never pauses the log has no end, unless writers are kept waiting for a moment when it is so long. */
const MOST_DUES = 2
/** A copy on the thread of the event loop that did not help is not tried again before. */
const NEXT_TRY_MS = 1000
/**
 * Milliseconds that writers are kept waiting for those who read; afterwards the log stays as it is until the next time.
 * A process that is stopped as it reads, or a backup, would keep all of them out for as long.
 */
const PATIENCE_MS = 50

/**
 * Text, because it must run wherever this package is bundled to, and from its sources. It opens a connection of its own
 * for each copy: one that stays would keep the last process that closes the store from clearing the log away.
 */
const THREAD = `
const { rmSync, statSync } = require('node:fs')
const { parentPort, workerData: { library, path, doorPath, lockDoor, most, patienceMs } } = require('node:worker_threads')
process.emitWarning = () => undefined
const module = require(library)
const Database = module.DatabaseSync ?? module
const opened = (logNumber) => {
  const isItsLog = () => statSync(path + '-wal').ino === logNumber
  const door = new Database(doorPath)
  let database
  try {
    door.exec('PRAGMA busy_timeout = ' + patienceMs + ';' + lockDoor)
    if (!isItsLog()) throw new Error('it is another log')
    database = new Database(path)
    try {
      database.exec('PRAGMA busy_timeout = ' + patienceMs + '; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0; PRAGMA user_version')
    } finally {
      // Where it was taken away in this moment SQLite has made an empty one, which others would take for theirs.
      if (!isItsLog()) rmSync(path + '-wal')
    }
    return database
  } catch (error) {
    database?.close()
    throw error
  } finally {
    door.close()
  }
}
parentPort.on('message', (logNumber) => {
  let database
  try {
    database = opened(logNumber)
    const { log } = database.prepare('PRAGMA wal_checkpoint(PASSIVE)').get()
    if (log > most) database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()
  } catch {
    // The next copy is due soon, and the next write has its own error if something is wrong.
  }
  try {
    database?.close()
  } catch {}
  parentPort.postMessage('done')
})
`

/** Pages. `busy` is 1 where another process was copying, and nothing was done. */
interface Copied {
  readonly busy: number
  readonly log: number
  readonly checkpointed: number
}

export class Checkpoints {
  private worker: Worker | undefined
  private isBusy = false
  /** From the log that is there: processes that are killed before they have written so much would never copy it. */
  private bytesSinceLast: number
  private readonly dueBytes: number
  private failedAtMs = -Infinity
  private readonly copyNow: Statement<Copied>

  /** @param database an open one, for when the event loop's own thread has to do it. */
  constructor(
    private readonly sqlite: Sqlite,
    private readonly database: Database,
    private readonly files: StoreFiles,
  ) {
    this.bytesSinceLast = files.logBytes
    this.dueBytes = dueBytesOf(files)
    this.copyNow = database.prepare('PRAGMA wal_checkpoint(PASSIVE)')
  }

  /** After each transaction that wrote: about how much it added to the log. Throws nothing: what was written is written. */
  note(bytes: number): void {
    this.bytesSinceLast += bytes
    if (this.isBusy) {
      if (this.isBehind) this.copyHere()
      return
    }
    if (this.bytesSinceLast < this.dueBytes) return
    this.bytesSinceLast = 0
    this.isBusy = true
    try {
      this.worker ??= this.start()
      this.worker.postMessage(this.files.logNumber)
    } catch {
      // The system gives no thread more (a container's limit, say).
      this.isBusy = false
      this.copyHere()
    }
  }

  /** Copies on this thread, where there is no room for the log to grow. Whether it is shorter now; 'busy': it soon is. */
  shorten(): boolean | 'busy' {
    if (this.isBusy) return 'busy'
    const nowMs = performance.now()
    const before = this.files.logBytes
    if (before === 0 || nowMs - this.failedAtMs < NEXT_TRY_MS) return false
    this.copyHere()
    const isShorter = this.files.logBytes < before
    if (!isShorter) this.failedAtMs = nowMs
    return isShorter
  }

  /** On a busy machine the thread may not come to it before a small disk is full; then the file could not grow to take the log. */
  private get isBehind(): boolean {
    return this.dueBytes < MOST_DUE_BYTES && this.bytesSinceLast > MOST_DUES * this.dueBytes
  }

  /** Copies on this thread, which waits a moment for those who read, and cuts the log off. Throws nothing. */
  private copyHere(): void {
    this.bytesSinceLast = 0
    try {
      this.database.exec(`PRAGMA busy_timeout = ${String(PATIENCE_MS)}; PRAGMA wal_checkpoint(TRUNCATE)`)
    } catch {
      // As on the thread.
    } finally {
      this.database.exec('PRAGMA busy_timeout = 0')
    }
  }

  /**
   * Copies on this thread, and waits for nobody. Whether all of the log is in the file now: not while another process copies it,
   * which may be killed before it is done, or reads what was there before, and not on a full disk.
   *
   * @throws SQLite's error where it never will be.
   */
  copyAll(): boolean {
    try {
      const copied = this.copyNow.get()
      return copied?.busy === 0 && copied.log === copied.checkpointed
    } catch (error) {
      if (troubleOf(error) !== 'full') throw error
      return false
    }
  }

  close(): void {
    const { worker } = this
    this.worker = undefined
    void worker?.terminate()
  }

  private start(): Worker {
    const worker = new Worker(THREAD, {
      eval: true,
      execArgv: [],
      env: {},
      workerData: {
        library: this.sqlite.library,
        path: this.files.path,
        doorPath: doorOf(this.files.path),
        lockDoor: LOCK_DOOR,
        most: (MOST_DUES * this.dueBytes) / PAGE_BYTES,
        patienceMs: PATIENCE_MS,
      },
    })
    worker.on('message', () => {
      this.isBusy = false
      // What was written meanwhile may be due as well, and nothing more may come.
      if (this.worker === worker) this.note(0)
    })
    worker.on('error', () => {
      this.isBusy = false
      if (this.worker !== worker) return
      this.worker = undefined
      this.copyHere()
    })
    // Neither keeps the process alive; a copy that is cut off is done again by the next.
    worker.unref()
    return worker
  }
}

/** After how much the log is copied: less on a small disk. */
function dueBytesOf({ path, logBytes }: StoreFiles): number {
  const share = (freeBytes(dirname(path)) + logBytes) * SHARE_OF_DISK
  return Math.min(Math.max(share, LEAST_DUE_BYTES), MOST_DUE_BYTES)
}
