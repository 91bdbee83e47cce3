/**
 * Copies the log into the file, on a thread of its own: it ends with a flush of the disk, which takes 5 to 100 ms, and
 * SQLite's own way is to have a commit now and then do that, on the thread of the event loop.
 */
import { statSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import type { Sqlite } from './sqlite.js'

/** Each time a page is copied once, however often it is in the log: the longer the log, the less there is to do. */
const DUE_BYTES = 32 * 1024 * 1024
/** 64 MiB: under a load that never pauses the log has no end, unless writers are kept waiting for a moment. */
const MOST_FRAMES = 16_000
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
const { parentPort, workerData: { library, path, most, patienceMs } } = require('node:worker_threads')
process.emitWarning = () => undefined
const module = require(library)
const Database = module.DatabaseSync ?? module
parentPort.on('message', () => {
  let database
  try {
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

  constructor(
    private readonly sqlite: Sqlite,
    private readonly path: string,
  ) {
    this.bytesSinceLast = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0
  }

  /** After each transaction that wrote: about how much it added to the log. */
  note(bytes: number): void {
    this.bytesSinceLast += bytes
    if (this.bytesSinceLast < DUE_BYTES || this.isBusy) return
    this.bytesSinceLast = 0
    this.isBusy = true
    this.worker ??= this.start()
    this.worker.postMessage('copy')
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
      workerData: { library: this.sqlite.library, path: this.path, most: MOST_FRAMES, patienceMs: PATIENCE_MS },
    })
    worker.on('message', () => {
      this.isBusy = false
      // What was written meanwhile may be due as well, and nothing more may come.
      if (this.worker === worker) this.note(0)
    })
    worker.on('error', () => {
      this.isBusy = false
      if (this.worker === worker) this.worker = undefined
    })
    // Neither keeps the process alive; a copy that is cut off is done again by the next.
    worker.unref()
    return worker
  }
}
