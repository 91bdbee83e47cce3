/** A process with a manager of its own, as one worker of a server would be; does what a row asks. */
import { setTimeout as sleep } from 'node:timers/promises'
import { serve, sharedNowMs } from '../support/child.js'
import { loadLatchkey, type SessionManager, type SessionManagerOptions, type SessionStore } from '../support/latchkey.js'
import { changed, sessionOf } from '../support/record.js'
import { quantile } from '../support/statistics.js'
import { type Contender, idOf, RECORD_BYTES } from '../contenders/contender.js'
import { drive, seedAll } from '../support/drive.js'
import { LatchkeyHooks } from '../contenders/latchkey.js'

let manager: SessionManager | undefined
let text = ''
const held = new Map<string, SessionStore>()
let pending: Promise<unknown>[] = []
let pendingStores: SessionStore[] = []
let heapBefore = 0

const opened = (): SessionManager => {
  if (manager === undefined) throw new Error('call open first')
  return manager
}

async function acquire(id: string): Promise<void> {
  const store = opened().store()
  await store.read(id)
  held.set(id, store)
}

async function release(id: string): Promise<void> {
  const store = held.get(id)
  held.delete(id)
  await store?.write(id, text)
  await store?.close()
}

const heapUsed = (): number => {
  gc?.()
  gc?.()
  return process.memoryUsage().heapUsed
}

const api = {
  async open(options: SessionManagerOptions): Promise<void> {
    const { SessionManager } = await loadLatchkey()
    manager = new SessionManager(options)
    text = options.php === undefined ? '{"n":1}' : 'n|i:1;'
  },

  flights: (_: null): number => opened().stats().flights,

  polls: (_: null): number => opened().stats().polls,

  async acquireAll(ids: readonly string[]): Promise<void> {
    for (const id of ids) await acquire(id)
  },

  async releaseAll(_: null): Promise<void> {
    await Promise.all([...held.keys()].map(release))
  },

  /** As releaseAll, but stores nothing. */
  async letGoAll(_: null): Promise<void> {
    await Promise.all([...held.values()].map((store) => store.close()))
    held.clear()
  },

  /** Says when it came, and when it had the session. */
  async acquire(id: string): Promise<{ cameAtMs: number; acquiredAtMs: number }> {
    const cameAtMs = sharedNowMs()
    await acquire(id)
    return { cameAtMs, acquiredAtMs: sharedNowMs() }
  },

  /** Works for a while with a session that it holds, then stores it; says when it began to store. */
  async releaseAfter({ id, holdMs }: { id: string; holdMs: number }): Promise<number> {
    if (holdMs > 0) await sleep(holdMs)
    const releasedAtMs = sharedNowMs()
    await release(id)
    return releasedAtMs
  },

  /** How much later than told a timer of 2 ms fires, again and again: what the machine itself adds. */
  async timerLateness(forMs: number): Promise<{ p50Ms: number; p99Ms: number }> {
    const latenessMs: number[] = []
    const endMs = performance.now() + forMs
    while (performance.now() < endMs) {
      const beganMs = performance.now()
      await sleep(2)
      latenessMs.push(performance.now() - beganMs - 2)
    }
    return { p50Ms: quantile(latenessMs, 0.5), p99Ms: quantile(latenessMs, 0.99) }
  },

  /** Requests that wait for sessions; what becomes of them is not looked at. */
  stick({ ids, each }: { ids: readonly string[]; each: number }): void {
    for (const id of ids) for (let n = 0; n < each; n++) opened().store().read(id).catch(() => undefined)
  },

  /** A thousand visitors: each does a cycle, then pauses; the cycles' latencies. */
  async visit({ visitors, pauseMs, forMs }: { visitors: number; pauseMs: number; forMs: number }): Promise<Visits> {
    const latenciesMs: number[] = []
    const endMs = performance.now() + forMs
    const visit = async (index: number): Promise<void> => {
      await sleep(Math.random() * pauseMs)
      while (performance.now() < endMs) {
        const beganMs = performance.now()
        const store = opened().store()
        const id = idOf(index)
        const text = await store.read(id)
        await store.write(id, text === '' ? JSON.stringify(sessionOf(RECORD_BYTES)) : changed(text))
        await store.close()
        latenciesMs.push(performance.now() - beganMs)
        const nextMs = pauseMs * (0.5 + Math.random())
        if (performance.now() + nextMs > endMs) return
        await sleep(nextMs)
      }
    }
    await Promise.all(Array.from({ length: visitors }, (_, index) => visit(index)))
    return { p50Ms: quantile(latenciesMs, 0.5), p99Ms: quantile(latenciesMs, 0.99), cycles: latenciesMs.length }
  },

  /** Pending reads, and nothing else of ours beside them; bytes of heap that each takes. */
  async pend({ ids, each }: { ids: readonly string[]; each: number }): Promise<void> {
    heapBefore = heapUsed()
    for (const id of ids) {
      for (let n = 0; n < each; n++) {
        const store = opened().store()
        pendingStores.push(store)
        pending.push(store.read(id))
      }
    }
  },

  heapPerPending: (_: null): number => (heapUsed() - heapBefore) / pending.length,

  /** Lets everybody go as soon as he is served; when the last one was. */
  async servePending(_: null): Promise<number> {
    await Promise.all(pending.map((read, index) => read.then(() => pendingStores[index]?.close())))
    pending = []
    pendingStores = []
    return sharedNowMs()
  },

  async seed({ first, sessions }: { first: number; sessions: number }): Promise<void> {
    await seedAll(range(first), sessions)
  },

  /** Cycles with 64 in flight on a range of sessions; how many a second. */
  async load({ first, sessions, forMs }: { first: number; sessions: number; forMs: number }): Promise<number> {
    return (await drive(range(first), { inFlight: 64, forMs, sessions })).cyclesPerSecond
  },
}

/** The sessions from `first` on, as a contender. */
function range(first: number): Contender {
  const hooks = new LatchkeyHooks('latchkey', opened(), JSON.stringify(sessionOf(RECORD_BYTES)), changed)
  return {
    name: hooks.name,
    seed: (index) => hooks.seed(first + index),
    cycle: (index) => hooks.cycle(first + index),
    close: () => hooks.close(),
  }
}

export interface Visits {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly cycles: number
}

export type Worker = typeof api

serve(api)
