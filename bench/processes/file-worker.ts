/** One of several processes that keep their sessions in the same place, each by the way that it is told. */
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import session from 'express-session'
import type { Contender } from '../contenders/contender.js'
import { RECORD_BYTES } from '../contenders/contender.js'
import { ExpressStore } from '../contenders/express-store.js'
import { LatchkeyHooks } from '../contenders/latchkey.js'
import { serve } from '../support/child.js'
import { drive, seedAll } from '../support/drive.js'
import { loadLatchkey, loadPhp } from '../support/latchkey.js'
import { changed, sessionOf } from '../support/record.js'
import { quantile } from '../support/statistics.js'

export type Kind = 'latchkey' | 'latchkey-php' | 'session-file-store' | 'better-sqlite3-session-store' | 'busy'

export interface Setup {
  readonly kind: Kind
  /** A save path of latchkey's, a directory of the others'. */
  readonly place: string
}

export interface Load {
  readonly first: number
  readonly sessions: number
  readonly inFlight: number
  readonly forMs: number
}

export interface Loaded {
  readonly cyclesPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly lagP99Ms: number
}

/** CPU time of a locked cycle, more or less. */
const BUSY_MS = 0.07

/** What bench/processes/php-cycles.php keeps. */
const PHP_RECORD = `n|i:1;pad|s:320:"${'abcdefghijklmnopqrstuvwxyz012345'.repeat(10)}";`

/** As PHP does it: all of the session is read, and written again. */
async function changedAsPhpDoes(): Promise<(text: string) => string> {
  const { decodePhpSession, encodePhpSession } = await loadPhp()
  return (text) => {
    const data = decodePhpSession(Buffer.from(text, 'latin1'), 'php')
    data['n'] = Number(data['n']) + 1
    return encodePhpSession(data, 'php').toString('latin1')
  }
}

let contender: Contender | undefined

async function contenderOf({ kind, place }: Setup): Promise<Contender> {
  switch (kind) {
    case 'latchkey': {
      const { SessionManager } = await loadLatchkey()
      const manager = new SessionManager({ savePath: place, waitMs: 60_000 })
      return new LatchkeyHooks(kind, manager, JSON.stringify(sessionOf(RECORD_BYTES)), changed)
    }
    case 'latchkey-php': {
      const { SessionManager } = await loadLatchkey()
      const manager = new SessionManager({ savePath: place, waitMs: 60_000, php: { extension: 'memcached' } })
      return new LatchkeyHooks(kind, manager, PHP_RECORD, await changedAsPhpDoes())
    }
    case 'session-file-store': {
      const { default: connect } = await import('session-file-store')
      const store = new (connect(session))({ path: place, reapInterval: -1, logFn: () => undefined })
      return new ExpressStore(kind, store, sessionOf(RECORD_BYTES), () => undefined)
    }
    case 'better-sqlite3-session-store': {
      // Not a literal: only where Node has no SQLite of its own is it installed.
      const library: string = 'better-sqlite3'
      const [{ default: connect }, { default: Database }] = await Promise.all([import('better-sqlite3-session-store'), import(library)])
      const store = new (connect(session))({ client: new Database(join(place, 'sessions.db')) })
      return new ExpressStore(kind, store, sessionOf(RECORD_BYTES), () => undefined)
    }
    case 'busy':
      return { name: kind, seed: () => Promise.resolve(), cycle: keepBusy, close: () => Promise.resolve() }
  }
}

async function keepBusy(): Promise<void> {
  const endMs = performance.now() + BUSY_MS
  while (performance.now() < endMs);
  await nextTurn()
}

/** The sessions from `first` on. */
function range(first: number): Contender {
  if (contender === undefined) throw new Error('call open first')
  const { name, seed, cycle, close } = bound(contender)
  return { name, seed: (index) => seed(first + index), cycle: (index) => cycle(first + index), close }
}

const bound = (one: Contender): Contender => ({
  name: one.name,
  seed: (index) => one.seed(index),
  cycle: (index) => one.cycle(index),
  close: () => one.close(),
})

const api = {
  async open(setup: Setup): Promise<void> {
    contender = await contenderOf(setup)
  },

  async seed({ first, sessions }: { first: number; sessions: number }): Promise<void> {
    await seedAll(range(first), sessions)
  },

  async load({ first, ...load }: Load): Promise<Loaded> {
    const lag = monitorEventLoopDelay({ resolution: 1 })
    lag.enable()
    const { cyclesPerSecond, latenciesMs } = await drive(range(first), load)
    lag.disable()
    return { cyclesPerSecond, p50Ms: quantile(latenciesMs, 0.5), p99Ms: quantile(latenciesMs, 0.99), lagP99Ms: lag.percentile(99) / 1e6 }
  },
}

export type FileWorker = typeof api

serve(api)
