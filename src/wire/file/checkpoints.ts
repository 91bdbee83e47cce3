/**
 * Copies the log into the file, on a thread of its own: it ends with a flush of the disk, which takes 5 to 100 ms, and
 * SQLite's own way is to have a commit now and then do that, on the thread of the event loop.
 */
import { dirname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { freeBytes } from './directory.js'
import { PAGE_BYTES } from './room.js'
import type { Database, Sqlite } from './sqlite.js'
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
const { statSync } = require('node:fs')
const { parentPort, workerData: { library, path, most, patienceMs } } = require('node:worker_threads')
process.emitWarning = () => undefined
const module = require(library)
const Database = module.DatabaseSync ?? module
parentPort.on('message', (logNumber) => {
  let database
  try {
    // Where it was taken away SQLite would make an empty one, and copy that.
    if (statSync(path + '-wal').ino !== logNumber) throw new Error('it is another log')
    database = new Database(path)
    database.exec('PRAGMA busy_timeout = ' + patienceMs + '; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0')
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

export class Checkpoints {
  private worker: Worker | undefined
  private isBusy = false
  /** From the log that is there: processes that are killed before they have written so much would never copy it. */
  private bytesSinceLast: number
  private readonly dueBytes: number
  private failedAtMs = -Infinity

  /** @param database an open one, for when the event loop's own thread has to do it. */
  constructor(
    private readonly sqlite: Sqlite,
    private readonly database: Database,
    private readonly files: StoreFiles,
  ) {
    this.bytesSinceLast = files.logBytes
    this.dueBytes = dueBytesOf(files)
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
  copyHere(): void {
    this.bytesSinceLast = 0
    try {
      this.database.exec(`PRAGMA busy_timeout = ${String(PATIENCE_MS)}; PRAGMA wal_checkpoint(TRUNCATE)`)
    } catch {
      // As on the thread.
    } finally {
      this.database.exec('PRAGMA busy_timeout = 0')
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
      workerData: { library: this.sqlite.library, path: this.files.path, most: (MOST_DUES * this.dueBytes) / PAGE_BYTES, patienceMs: PATIENCE_MS },
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
