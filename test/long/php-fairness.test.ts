import { afterAll, beforeAll, expect, it } from 'vitest'
import { MemcachedServer } from '../support/memcached-server.js'
import { countTogether } from '../support/mixed.js'
import { iniOf, sumOf } from '../support/php.js'

let server: MemcachedServer

beforeAll(async () => {
  server = await MemcachedServer.start()
})
afterAll(async () => {
  await server.stop()
})

/** php.ini's own settings of retries, and those that a busy session needs. */
const RETRIES = {
  default: { ini: { 'memcached.sess_lock_wait_min': 150, 'memcached.sess_lock_wait_max': 150, 'memcached.sess_lock_retries': 5 }, standBackMs: 150 },
  short: { ini: { 'memcached.sess_lock_wait_min': 2, 'memcached.sess_lock_wait_max': 20, 'memcached.sess_lock_retries': 1000 }, standBackMs: 20 },
} as const

const CASES = ([5, 25, 100] as const).flatMap((holdMs) => (['default', 'short'] as const).flatMap((retry) => ([1, 3] as const).map((atOnce) => ({ holdMs, retry, atOnce }))))

const LEAST_SHARE = 0.25

it.each(CASES)('3 Node and 3 PHP processes on one session: each side has its share of the turns (%j)', async ({ holdMs, retry, atOnce }) => {
  const { ini, standBackMs } = RETRIES[retry]
  const id = `fair${String(holdMs)}${retry}${String(atOnce)}`
  const job = { ids: [id], holdMs, forMs: 8000 }
  const { node, php } = await countTogether({
    ini: { ...iniOf([server.port]), ...ini },
    options: { savePath: `tcp://127.0.0.1:${String(server.port)}`, php: { extension: 'memcached', standBackMs } },
    phpJob: job,
    nodeJob: { ...job, atOnce },
    processes: 3,
  })
  const [nodes, phps] = [node.map(sumOf), php.map(sumOf)]
  const [ours, theirs] = [nodes, phps].map((counts) => counts.reduce((sum, count) => sum + count))
  expect(Math.min(ours ?? 0, theirs ?? 0) / ((ours ?? 0) + (theirs ?? 0))).toBeGreaterThanOrEqual(LEAST_SHARE)
})
