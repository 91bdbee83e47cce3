/** The columns of the matrix on disk: what can become of a store in a directory, and how it is mended. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { FileStore } from '../../src/wire/file/file-store.js'
import { type Database, loadSqlite } from '../../src/wire/file/sqlite.js'
import type { Struck, Trouble } from './cell.js'
import type { DiskRig } from './disk-ground.js'
import type { Verdict } from './expectations.js'
import type { HookKind } from './hooks.js'

export interface DiskFault extends Trouble<DiskRig> {
  readonly startsProcess: boolean
  readonly isOnSmallDisk: boolean
  /** It strikes all cells that are played meanwhile. */
  readonly isAlone: boolean
}

type Oracle = Readonly<Record<HookKind['nature'], readonly Verdict[]>>

const OK: readonly Verdict[] = ['ok']
const UNAVAILABLE: readonly Verdict[] = ['SERVER_UNAVAILABLE']

/** Of a fault that is over within the deadline. */
const ALL_WELL: Oracle = {
  acquires: OK,
  looks: OK,
  changes: OK,
  touches: OK,
  destroys: OK,
  'destroys blindly': OK,
  'lets go': OK,
  renews: OK,
}
/** Of another process that writes on and on: nothing of ours was done, and who only reads waits for nobody. */
const KEPT_OUT: Oracle = {
  ...ALL_WELL,
  acquires: UNAVAILABLE,
  changes: UNAVAILABLE,
  touches: UNAVAILABLE,
  destroys: UNAVAILABLE,
  'destroys blindly': UNAVAILABLE,
  renews: UNAVAILABLE,
}
/** What was written in the moment of it may be there when the directory is; who has looked for the log just before has written nothing. */
const IN_DOUBT: readonly Verdict[] = ['OUTCOME_UNKNOWN', 'SERVER_UNAVAILABLE']
const GONE: Oracle = {
  ...KEPT_OUT,
  looks: UNAVAILABLE,
  changes: IN_DOUBT,
  touches: IN_DOUBT,
  destroys: IN_DOUBT,
  'destroys blindly': IN_DOUBT,
}
/** Nothing was done: the store says it of a write alone, and the flight fails that would also have let go of a lock. */
const REFUSED: readonly Verdict[] = ['SERVER_REFUSED', 'SERVER_UNAVAILABLE']
const FULL: Oracle = {
  ...ALL_WELL,
  acquires: REFUSED,
  changes: REFUSED,
  touches: REFUSED,
  destroys: REFUSED,
  'destroys blindly': REFUSED,
  renews: REFUSED,
}

const fault = (
  name: string,
  oracle: Oracle,
  strike: DiskFault['strike'],
  more: Partial<Pick<DiskFault, 'startsProcess' | 'isOnSmallDisk' | 'isAlone'>> = {},
): DiskFault => ({
  name,
  zombieFlights: 0,
  empties: 'no',
  startsProcess: false,
  isOnSmallDisk: false,
  isAlone: false,
  expected: ({ nature }) => oracle[nature],
  strike,
  ...more,
})

/** Long enough to be met, and well within a flight's deadline. */
const SHORT_MS = 60
const SLOW_MS = 25

const always = (heal: () => Promise<void> | void): Struck => ({
  happened: () => true,
  heal: async () => {
    await heal()
  },
})

/** A connection that has the write lock, until the promise it returns is called. */
async function writing(rig: DiskRig): Promise<() => void> {
  const database: Database = (await loadSqlite()).open(rig.file)
  for (;;) {
    try {
      database.exec('PRAGMA busy_timeout = 0; BEGIN IMMEDIATE')
      break
    } catch {
      // SQLite tells nobody when another process lets go of its lock.
      await sleep(1)
    }
  }
  let isOver = false
  return () => {
    if (isOver) return
    isOver = true
    database.exec('COMMIT')
    database.close()
  }
}

/** Another process that has written half of a transaction: the tables of an item, and no commit. */
const WRITER = `
process.emitWarning = () => undefined
const [library, path] = process.argv.slice(1)
const module = require(library)
const database = new (module.DatabaseSync ?? module)(path)
database.exec("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE; DELETE FROM item; DELETE FROM lock")
process.stdout.write('writing')
setInterval(() => undefined, 1000)
`

async function writingProcess(rig: DiskRig): Promise<ChildProcess> {
  const { library } = await loadSqlite()
  const child = spawn(process.execPath, ['-e', WRITER, library, rig.file], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  return child
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

/** Every turn's transaction takes that much longer, on the thread of the event loop, as on a slow disk. */
function slowDown(): () => void {
  const { prototype } = FileStore
  const { run } = prototype
  const never = new Int32Array(new SharedArrayBuffer(4))
  prototype.run = function (this: FileStore, ...flights: Parameters<FileStore['run']>) {
    Atomics.wait(never, 0, 0, SLOW_MS)
    return run.apply(this, flights)
  }
  return () => {
    prototype.run = run
  }
}

/** Takes all that is left of the disk of a store, to the last byte. */
function filled(directory: string): Struck {
  const path = join(dirname(directory), 'ballast')
  const ballast = openSync(path, 'w')
  for (let bytes = 1 << 20; bytes > 0;) {
    try {
      writeSync(ballast, Buffer.alloc(bytes))
    } catch {
      bytes >>= 1
    }
  }
  closeSync(ballast)
  return always(() => {
    rmSync(path)
  })
}

export const DISK_FAULTS: readonly DiskFault[] = [
  fault('each turn takes 25 ms', ALL_WELL, async () => always(slowDown()), { isAlone: true }),
  fault('another writes for 60 ms', ALL_WELL, async (rig) => {
    const end = await writing(rig)
    // The fault is this time.
    setTimeout(end, SHORT_MS)
    return always(end)
  }),
  fault('another writes for a second', KEPT_OUT, async (rig) => {
    const end = await writing(rig)
    return always(end)
  }),
  fault('another is killed as it writes', ALL_WELL, async (rig) => {
    const child = await writingProcess(rig)
    const ended = sleep(SHORT_MS).then(() => end(child))
    return always(() => ended)
  }, { startsProcess: true }),
  fault('another is stopped as it writes', KEPT_OUT, async (rig) => {
    const child = await writingProcess(rig)
    child.kill('SIGSTOP')
    return always(() => end(child))
  }, { startsProcess: true }),
  fault('the directory is gone, and comes back', GONE, async ({ directory }) => {
    const elsewhere = join(dirname(directory), 'elsewhere')
    renameSync(directory, elsewhere)
    return always(() => {
      renameSync(elsewhere, directory)
    })
  }),
  fault('the disk is full, of the log as well', ALL_WELL, ({ directory }) => Promise.resolve(filled(directory)), { isOnSmallDisk: true }),
  fault('the disk is full', FULL, async ({ directory }) => {
    const database = (await loadSqlite()).open(join(directory, 'sessions.db'))
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    database.close()
    return filled(directory)
  }, { isOnSmallDisk: true }),
]
