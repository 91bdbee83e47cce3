/** mutex: named locks beside redlock on one Redis: taken and let go of, with and without a fencing token; handed on. */
import { setTimeout as sleep } from 'node:timers/promises'
import { MemcachedServer } from '../../test/support/memcached-server.js'
import type { Contender } from '../contenders/contender.js'
import { drive, inRounds } from '../support/drive.js'
import { loadLatchkey } from '../support/latchkey.js'
import { startRedis } from '../support/redis-server.js'
import { num, type Row, type RowContext } from '../support/result.js'
import { median, quantile, ratioOf } from '../support/statistics.js'

const NAMES = 4096
const LEASE_MS = 15_000
/** redlock's own default: who finds the lock taken tries again after this long, give or take 100 ms. */
const REDLOCK_RETRY_MS = 200
const HOLD_MS = 100
const [PLAIN, FENCED, REDLOCK] = ['latchkey', 'latchkey, with a token', 'redlock'] as const

type Take = (name: string) => Promise<() => Promise<unknown>>
/** A lock as this row uses it, for two that contend as well: each has a client of its own. */
interface Lock extends Contender {
  readonly takes: readonly Take[]
}

export const mutex: Row = {
  about: 'named locks beside redlock on one Redis: taken and let go of; handed from one client to another',
  async run(context) {
    await using server = await MemcachedServer.start()
    const locks = [...(await latchkeyLocks(server)), ...(await redlocks())]
    const loads = [64, 1]
    const speed = new Map<string, number[]>()
    for (const inFlight of loads) {
      const forMs = context.quick ? 100 : 400
      const slices = await inRounds(locks, context.quick ? 5 : 11, (lock) => drive(lock, { inFlight, forMs, sessions: NAMES }), context.progress)
      for (const [name, of] of slices) speed.set(`${name} ${String(inFlight)}`, of.map(({ cyclesPerSecond }) => cyclesPerSecond))
    }
    const handOffs = new Map<string, number[]>()
    for (const lock of locks) if (lock.name !== FENCED) handOffs.set(lock.name, await handedOn(lock, context))
    for (const lock of locks) await lock.close()
    const of = (name: string, inFlight: number): number[] => speed.get(`${name} ${String(inFlight)}`) ?? []
    const ratio = (name: string, inFlight: number): number => ratioOf(of(name, inFlight), of(REDLOCK, inFlight))
    const late = (name: string, q: number): number => quantile(handOffs.get(name) ?? [], q)
    const hasRedlock = handOffs.has(REDLOCK)
    return {
      figures: {
        ...(hasRedlock ? { 'mutex.ratioToRedlock': ratio(PLAIN, 64), 'mutex.fencedRatioToRedlock': ratio(FENCED, 64), 'mutex.sequentialRatioToRedlock': ratio(PLAIN, 1) } : {}),
        'mutex.handoffP99Ms': late(PLAIN, 0.99),
      },
      tables: [
        {
          title: 'mutex',
          head: ['', 'cycles/s, 64 in flight', '× redlock', 'cycles/s, one at a time', '× redlock', 'handed on, p50 ms', 'p99 ms'],
          rows: locks.map(({ name }) => [
            name,
            ...loads.flatMap((inFlight) => [num(median(of(name, inFlight))), hasRedlock ? num(ratio(name, inFlight)) : '']),
            num(late(name, 0.5)),
            num(late(name, 0.99)),
          ]),
        },
      ],
      charts: [],
      notes: [
        `redlock: one Redis, ioredis, its own settings (it tries again after ${String(REDLOCK_RETRY_MS)} ms, give or take 100)`,
        ...(hasRedlock ? [] : ['redis-server is not installed: no redlock']),
      ],
    }
  },
}

async function latchkeyLocks(server: MemcachedServer): Promise<Lock[]> {
  const { SessionManager } = await loadLatchkey()
  const managers = [0, 1].map(() => new SessionManager({ savePath: `tcp://${server.address}` }))
  const [manager] = managers
  if (manager === undefined) throw new Error('no manager')
  const takes = managers.map((one): Take => async (name) => {
    const hold = await one.mutex(name).lock()
    return () => hold.release()
  })
  const cycleOf = (isFenced: boolean) => async (index: number): Promise<void> => {
    const hold = await manager.mutex(`lock-${String(index)}`).lock()
    if (isFenced) await hold.fencingToken()
    await hold.release()
  }
  const close = async (): Promise<void> => {
    await Promise.all(managers.map((one) => one.close()))
  }
  const seed = (): Promise<void> => Promise.resolve()
  return [
    { name: PLAIN, seed, takes, cycle: cycleOf(false), close },
    { name: FENCED, seed, takes, cycle: cycleOf(true), close },
  ]
}

async function redlocks(): Promise<Lock[]> {
  const redis = await startRedis()
  if (redis === undefined) return []
  const [{ default: Redlock }, { default: Redis }] = await Promise.all([import('redlock'), import('ioredis')])
  const clients = [0, 1].map(() => new Redis(redis.port, '127.0.0.1'))
  const takes = clients.map((client): Take => {
    // A test of fairness needs more tries than its default of ten.
    const redlock = new Redlock([client], { retryDelay: REDLOCK_RETRY_MS, retryCount: 1000 })
    return async (name) => {
      const lock = await redlock.acquire([name], LEASE_MS)
      return () => lock.release()
    }
  })
  const [take] = takes
  if (take === undefined) throw new Error('no client')
  return [
    {
      name: REDLOCK,
      takes,
      seed: () => Promise.resolve(),
      cycle: async (index) => {
        const release = await take(`lock-${String(index)}`)
        await release()
      },
      async close() {
        for (const client of clients) client.disconnect()
        await redis.stop()
      },
    },
  ]
}

/** How long after one client has let go the other has it, which waited for it all the while. */
async function handedOn({ name, takes: [one, other] }: Lock, { quick, progress }: RowContext): Promise<number[]> {
  if (one === undefined || other === undefined) return []
  const lateMs: number[] = []
  const rounds = quick ? 30 : 200
  for (let round = 0; round < rounds; round++) {
    progress(`${name}, handed on, ${String(round + 1)} of ${String(rounds)}`)
    const release = await one(`handed-${String(round)}`)
    const waiting = other(`handed-${String(round)}`).then((releaseOther) => ({ releaseOther, atMs: performance.now() }))
    await sleep(HOLD_MS + Math.random() * 10)
    const releasedAtMs = performance.now()
    await release()
    const { releaseOther, atMs } = await waiting
    lateMs.push(atMs - releasedAtMs)
    await releaseOther()
  }
  return lateMs
}
