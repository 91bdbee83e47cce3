/** The whole client against a server whose answers are in shreds, or are none: it settles, and says the truth or nothing. */
import { LatchkeyError, SessionManager } from 'latchkey'
import { SeededRandom } from 'latchkey/testing'
import { describe, expect, it } from 'vitest'
import { LagMeter } from '../faults/lag-meter.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { FaultProxy } from '../support/proxy.js'
import { ScriptedServer } from '../wire/memcached-scripted-server.js'
import { garbage, mutate } from './mutate.js'
import { timesLonger } from './times.js'

const PROTOCOLS = ['binary', 'text'] as const
const DEADLINE_MS = 300
const ROUNDS = 40 * timesLonger()
const AT_ONCE = 6

interface Tally {
  ok: number
  refused: number
}

/** Settles within the deadline, by a value or a typed error; anything else is thrown. */
async function settle(call: () => Promise<unknown>, lag: LagMeter, tally: Tally, deadlines = 1): Promise<void> {
  const fromMs = performance.now()
  try {
    await call()
    tally.ok++
  } catch (error) {
    if (!(error instanceof LatchkeyError)) throw error
    tally.refused++
  }
  const endMs = performance.now()
  const limitMs = DEADLINE_MS * deadlines + 150 + lag.between(fromMs, endMs)
  if (endMs - fromMs > limitMs) throw new Error(`settled after ${String(endMs - fromMs)} ms, not ${String(limitMs)}`)
}

describe.each(PROTOCOLS)('%s', (protocol) => {
  it('replies in shreds', async () => {
    await using server = await MemcachedServer.start()
    await using proxy = await FaultProxy.start(server)
    using lag = new LagMeter()
    const savePath = `tcp://${proxy.address}?protocol=${protocol}`
    // Its wait is a part of what is measured.
    const manager = new SessionManager({ savePath, deadlineMs: DEADLINE_MS, waitMs: 100, leaseSec: 2 })
    const random = new SeededRandom(7)
    let shredded = 0
    proxy.onReply = (segment) => {
      if (random.integer(6) > 0) return segment
      shredded++
      return mutate(segment, random)
    }
    const tally: Tally = { ok: 0, refused: 0 }
    const visit = async (worker: number, round: number): Promise<void> => {
      const id = `visitor-${String((worker + round) % 9).repeat(16)}`
      if (round % 3 === 0) await settle(async () => checkOwner(id, await manager.peek<{ of: string }>(id)), lag, tally)
      else if (round % 7 === 0) await settle(() => manager.store().destroy(id), lag, tally)
      else {
        const change = (): Promise<void> =>
          manager.run<{ of: string; n: number }>(id, (session) => {
            checkOwner(id, session.data)
            session.data = { of: id, n: (session.data.n ?? 0) + 1 }
          })
        // It waits, reads, and stores.
        await settle(change, lag, tally, 3)
      }
    }
    const work = async (worker: number): Promise<void> => {
      for (let round = 0; round < ROUNDS; round++) await visit(worker, round)
    }
    await Promise.all(Array.from({ length: AT_ONCE }, (_, worker) => work(worker)))
    proxy.onReply = undefined
    await manager.close({ graceMs: 0 })
    expect(shredded).toBeGreaterThan(ROUNDS / 4)
    expect(tally.ok).toBeGreaterThan(ROUNDS / 4)
    expect(tally.refused).toBeGreaterThan(ROUNDS / 10)
  }, 20_000 * timesLonger())

  it('a server that only talks rubbish, before and after it is asked', async () => {
    const random = new SeededRandom(11)
    await using server = await ScriptedServer.start({
      protocol,
      onRequest: (socket) => void socket.write(garbage(random, 2000)),
      onConnect: (socket) => {
        if (random.integer(2) === 0) socket.write(garbage(random))
        socket.on('data', () => {
          socket.write(garbage(random, 2000))
          if (random.integer(4) === 0) socket.end()
        })
      },
    })
    using lag = new LagMeter()
    const savePath = `tcp://127.0.0.1:${String(server.port)}?protocol=${protocol}`
    const manager = new SessionManager({ savePath, deadlineMs: DEADLINE_MS, waitMs: 0 })
    const tally: Tally = { ok: 0, refused: 0 }
    for (let round = 0; round < 8 * timesLonger(); round++) {
      await settle(() => manager.peek('rubbish'), lag, tally)
      await settle(() => manager.start('rubbish'), lag, tally)
    }
    expect(tally.ok).toBe(0)
    await manager.close({ graceMs: 0 })
  }, 20_000 * timesLonger())
})

/** Bytes may have been changed on their way; that they are another session's is what must never be. */
function checkOwner(id: string, data: { of?: unknown } | undefined): void {
  const of = data?.of
  if (typeof of === 'string' && of !== id && /^visitor-(\d)\1{15}$/.test(of)) {
    throw new Error(`${id} was given the data of ${of}`)
  }
}
