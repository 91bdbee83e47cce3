/** php-memcached beside latchkey in `handoff`: its defaults, and its shortest waits. */
import { MemcachedServer } from '../../test/support/memcached-server.js'
import { PhpSessions, whatIsMissing } from '../support/php-sessions.js'
import type { RowContext } from '../support/result.js'

export interface Delays {
  readonly holdMs: number
  readonly delaysMs: readonly number[]
  /** How many waiters gave up, where any can. */
  readonly failed?: number
}

export interface PhpHandoffs {
  readonly kinds: readonly { readonly name: string; readonly delays: readonly Delays[]; readonly pollsPerSecond: number }[]
  readonly notes: readonly string[]
}

const KINDS = [
  { name: 'php-memcached, defaults', settings: [] },
  {
    name: 'php-memcached, shortest waits',
    settings: ['memcached.sess_lock_wait_min=1', 'memcached.sess_lock_wait_max=1', 'memcached.sess_lock_retries=100000'],
  },
]
const HOLDS = [5, 100, 500]
const QUICK_HOLDS = [5, 100]
const POLLED_MS = 600

/** Empty, with a note that says why, where PHP or its extension is not installed. */
export async function phpHandoffs({ quick, progress }: RowContext): Promise<PhpHandoffs> {
  const missing = whatIsMissing()
  if (missing !== undefined) return { kinds: [], notes: [`${missing} is not installed: no row for php-memcached`] }
  await using server = await MemcachedServer.start()
  const kinds = []
  for (const { name, settings } of KINDS) {
    progress(name)
    const [one, other] = await Promise.all([PhpSessions.start(server, settings), PhpSessions.start(server, settings)])
    const delays: Delays[] = []
    for (const holdMs of quick ? QUICK_HOLDS : HOLDS) {
      delays.push(await exchange(one, other, holdMs, Math.ceil((quick ? 500 : 10_000) / (holdMs + 75))))
    }
    kinds.push({ name, delays, pollsPerSecond: await countPolls(server, one, other) })
    one.stop()
    other.stop()
  }
  return { kinds, notes: [] }
}

async function exchange(one: PhpSessions, other: PhpSessions, holdMs: number, times: number): Promise<Delays> {
  const id = `h${String(holdMs)}`
  const delaysMs: number[] = []
  let failed = 0
  let [holder, waiter] = [one, other]
  await holder.tell(`take ${id}`)
  for (let time = 0; time < times; time++) {
    const released = holder.tell(`free ${String(holdMs)}`)
    const [word, came, taken] = await waiter.tell(`take ${id}`)
    const [, freed] = await released
    if (word === 'taken') {
      delaysMs.push(Number(taken) - Math.max(Number(freed), Number(came)))
      ;[holder, waiter] = [waiter, holder]
    } else {
      failed++
      await holder.tell(`take ${id}`)
    }
  }
  await holder.tell('free 0')
  return { holdMs, delaysMs, failed }
}

/** What memcached counts while one waits, but for the one command of freeing. */
async function countPolls(server: MemcachedServer, one: PhpSessions, other: PhpSessions): Promise<number> {
  await one.tell('take polled')
  const sent = async (): Promise<number> => (await server.stat('cmd_set')) + (await server.stat('cmd_get'))
  const before = await sent()
  const released = one.tell(`free ${String(POLLED_MS)}`)
  const taken = other.tell('take polled')
  await new Promise((resolve) => setTimeout(resolve, POLLED_MS * 0.9))
  const after = await sent()
  await Promise.all([released, taken])
  await other.tell('free 0')
  return (after - before) / ((POLLED_MS * 0.9) / 1000)
}
