import { setTimeout as delay } from 'node:timers/promises'
import { LatchkeyError, SessionManager } from 'latchkey'
import { SeededRandom } from 'latchkey/testing'
import { describe, expect, it } from 'vitest'
import { type Fault, FaultProxy } from '../support/proxy.js'
import { hasRedis, RedisProcess } from '../support/redis-server.js'

const FAULTS: readonly Fault[] = ['finBefore', 'rstBefore', 'fin', 'rst', 'halfReply', 'dropReply', 'trickle', { delayRequestMs: 300 }, { delayReplyMs: 300 }]
/** The test goes by what happened, not by seconds: on a busy machine a bad line lets few clicks through. */
const CLICKS = 400
const STRIKES = 60
const SESSIONS = 8

/** A session counts what was acknowledged, and besides at most what nobody knows. */
interface Count {
  acknowledged: number
  unknown: number
}

describe.skipIf(!hasRedis)('Redis on a bad line, that stands still and forgets its scripts', () => {
  it('no acknowledged change is lost, none is made twice, and all that fails has a code', { timeout: 240_000 }, async () => {
    await using server = await RedisProcess.start()
    await using proxy = await FaultProxy.start(server)
    const random = new SeededRandom(20_26)
    const managers = [1, 2].map(() => new SessionManager({ savePath: `redis://${proxy.address}`, deadlineMs: 1500, leaseSec: 3, waitMs: 8000 }))
    const counts = Array.from({ length: SESSIONS }, (): Count => ({ acknowledged: 0, unknown: 0 }))
    const strangers: unknown[] = []
    let acknowledged = 0
    const goesOn = (): boolean => strangers.length === 0 && (acknowledged < CLICKS || proxy.counts.faults < STRIKES)
    const click = async (manager: SessionManager): Promise<void> => {
      while (goesOn()) {
        const index = random.integer(SESSIONS)
        const count = counts[index]
        if (count === undefined) throw new RangeError('no such session')
        try {
          await manager.run(`id-${String(index)}`, ({ data }) => {
            data['n'] = Number(data['n'] ?? 0) + 1
          })
          count.acknowledged++
          acknowledged++
        } catch (error) {
          if (!(error instanceof LatchkeyError)) strangers.push(error)
          else if (error.code === 'LATCHKEY_OUTCOME_UNKNOWN') count.unknown++
          await delay(20)
        }
      }
    }
    const trouble = async (): Promise<void> => {
      let waiting = 0
      while (goesOn()) {
        await delay(30 + random.integer(60))
        // Faults that wait for an exchange must not pile up: they would strike one after the other and let nothing pass.
        if (waiting < 3) {
          waiting++
          void proxy.next(random.pick(FAULTS)).then(() => waiting--)
        }
        if (random.integer(20) === 0) await server.command('SCRIPT FLUSH')
        if (random.integer(40) > 0) continue
        await server.pause()
        await delay(400)
        server.resume()
      }
    }
    await Promise.all([trouble(), ...managers.flatMap((manager) => Array.from({ length: 10 }, () => click(manager)))])
    expect(strangers).toEqual([])
    await Promise.all(managers.map((manager) => manager.close({ graceMs: 0 })))
    const direct = new SessionManager({ savePath: server.savePath })
    for (const [index, count] of counts.entries()) {
      const stored = await direct.peek(`id-${String(index)}`)
      const n = Number(stored?.['n'] ?? 0)
      expect(n).toBeGreaterThanOrEqual(count.acknowledged)
      expect(n).toBeLessThanOrEqual(count.acknowledged + count.unknown)
    }
    await direct.close()
  })
})
