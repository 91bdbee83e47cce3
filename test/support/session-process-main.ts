import { setTimeout as sleep } from 'node:timers/promises'
import { SessionManager, type SessionManagerOptions, type SessionStore } from '../../src/index.js'
import type { Call, Result } from './session-process.js'

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
