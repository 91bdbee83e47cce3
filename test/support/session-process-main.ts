import { setTimeout as sleep } from 'node:timers/promises'
import { SessionManager, type SessionManagerOptions, type SessionStore } from '../../src/index.js'
import type { Call, Counted, CountJob, Result } from './session-process.js'

/** A process of its own with one manager. It does what its parent process asks (session-process.ts). */

const options = JSON.parse(process.env['MANAGER_OPTIONS'] ?? '{}') as SessionManagerOptions
const manager = new SessionManager(options)
let store: SessionStore = manager.store()

async function perform(call: Call): Promise<unknown> {
  switch (call.do) {
    case 'read':
      store = manager.store()
      return store.read(call.id, { label: call.label })
    case 'write':
      return store.write(call.id, call.data)
    case 'close':
      return store.close()
    case 'increment':
      await manager.run<{ n: number }>(call.id, async (session) => {
        const n = session.data.n ?? 0
        await sleep(call.holdMs)
        session.data.n = n + 1
      })
      return process.pid
    case 'hold':
      return (await manager.mutex(call.mutex).lock({ label: call.label })).fencingToken()
    case 'count':
      return count(call)
    case 'loop':
      return loop(call.id, call.holdMs, call.forMs)
    case 'stats':
      return manager.stats()
    case 'end':
      return manager.close()
  }
}

/**
 * Three local requests that ask without end. Returns when each was served, on the wall clock that all processes share.
 */
async function loop(id: string, holdMs: number, forMs: number): Promise<number[]> {
  const served: number[] = []
  const endMs = Date.now() + forMs
  await Promise.all(
    Array.from({ length: 3 }, async () => {
      while (Date.now() < endMs) {
        await manager.run(id, async () => {
          served.push(Date.now())
          await sleep(holdMs)
        })
      }
    }),
  )
  return served
}

async function count({ ids, holdMs, times = Infinity, forMs = Infinity, atOnce }: CountJob): Promise<Counted> {
  const counts: Record<string, number> = {}
  const errors: Record<string, number> = {}
  const endMs = Date.now() + forMs
  let left = times
  const work = async (): Promise<void> => {
    while (left > 0 && Date.now() < endMs) {
      left--
      const id = ids[Math.floor(Math.random() * ids.length)] ?? ''
      try {
        await manager.run<{ n: number }>(id, async (session) => {
          const n = session.data.n ?? 0
          if (holdMs > 0) await sleep(holdMs)
          session.data.n = n + 1
        })
        counts[id] = (counts[id] ?? 0) + 1
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
        errors[code] = (errors[code] ?? 0) + 1
        left++
      }
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  return { counts, errors }
}

process.on('message', (message: { seq: number; call: Call }) => {
  const answer = (result: Result): void => void process.send?.({ seq: message.seq, result })
  perform(message.call).then(
    (value) => {
      answer({ value })
    },
    (error: unknown) => {
      answer({ code: error instanceof Error && 'code' in error ? String(error.code) : String(error) })
    },
  )
})
