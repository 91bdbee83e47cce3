/** Works through a proxy that breaks things, in a process of its own, and says what has piled up (leaks.test.ts). */
import { getEventListeners } from 'node:events'
import { LatchkeyError, SessionManager } from 'latchkey'
import { collectGarbage } from '../support/garbage.js'

/** What a process holds, after its garbage is collected. */
export interface Holdings {
  readonly heapBytes: number
  /** How often each kind of resource keeps the process alive. */
  readonly resources: Readonly<Record<string, number>>
  /** Listeners on the one signal that every request was given. */
  readonly signalListeners: number
  readonly warnings: readonly string[]
  readonly ok: number
  readonly failed: number
}

export type Order = 'count' | 'rest' | 'close'
export type Report = { readonly order: Order; readonly holdings: Holdings } | { readonly bug: string }

const WORKERS = 8
const IDS = 40

const manager = new SessionManager({
  savePath: process.env['SAVE_PATH'] ?? '',
  deadlineMs: 120,
  waitMs: 200,
  leaseSec: 2,
  maxWaiters: 20,
})
const gone = new AbortController()
const warnings: string[] = []
let ok = 0
let failed = 0
let working = true

process.on('warning', (warning) => warnings.push(String(warning)))

async function work(worker: number): Promise<void> {
  for (let turn = 0; working; turn++) {
    const id = `leak-${String((worker * 7 + turn) % IDS)}`
    try {
      await request(id, turn)
      ok++
    } catch (error) {
      failed++
      if (!(error instanceof LatchkeyError)) tell({ bug: String(error) })
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
}

async function request(id: string, turn: number): Promise<void> {
  const { signal } = gone
  if (turn % 7 === 0) {
    await manager.peek(id)
    return
  }
  if (turn % 11 === 0) {
    await manager.store().destroy(id)
    return
  }
  await manager.run<{ n: number }>(id, async (session) => {
    session.signal.addEventListener('abort', () => undefined)
    session.data.n = (session.data.n ?? 0) + 1
    if (turn % 5 === 0) await session.save()
    if (turn % 13 === 0) await session.regenerate()
  }, { signal })
}

function holdings(): Holdings {
  collectGarbage()
  const resources: Record<string, number> = {}
  for (const name of process.getActiveResourcesInfo()) resources[name] = (resources[name] ?? 0) + 1
  const signalListeners = getEventListeners(gone.signal, 'abort').length
  return { heapBytes: process.memoryUsage().heapUsed, resources, signalListeners, warnings, ok, failed }
}

const tell = (report: Report): void => void process.send?.(report)

const workers = Array.from({ length: WORKERS }, (_, worker) => work(worker))

process.on('message', (order: Order) => void obey(order))

async function obey(order: Order): Promise<void> {
  if (order !== 'count') {
    working = false
    await Promise.all(workers)
  }
  if (order === 'close') {
    await manager.close({ graceMs: 100 })
    // A socket that was destroyed is let go by libuv in the next turns.
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
  tell({ order, holdings: holdings() })
  // Nothing but what latchkey may have left is to keep this process alive.
  if (order === 'close') process.disconnect()
}
