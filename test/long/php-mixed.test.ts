import { afterAll, beforeAll, expect, it } from 'vitest'
import { SessionManager } from 'latchkey'
import { MemcachedServer } from '../support/memcached-server.js'
import { countTogether } from '../support/mixed.js'
import { iniOf, sumOf, totalOf } from '../support/php.js'

const servers: MemcachedServer[] = []

beforeAll(async () => {
  servers.push(...(await Promise.all([1, 2, 3].map(() => MemcachedServer.start()))))
})
afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()))
})

const CASES = [
  ...(['php', 'php_serialize'] as const).flatMap((handler) => [0, 1].map((isBinary) => ({ extension: 'memcached' as const, count: 3, handler, isBinary, total: 25_002 }))),
  { extension: 'memcache' as const, count: 1, handler: 'php' as const, isBinary: 0, total: 10_002 },
]

it.each(CASES)('3 PHP and 3 Node processes, five sessions: every increment that was acknowledged is counted (%j)', async ({ extension, count, handler, isBinary, total }) => {
  const ports = servers.slice(0, count).map(({ port }) => port)
  const ids = [1, 2, 3, 4, 5].map((index) => `mixed${extension}${handler.replace('_', '')}${String(isBinary)}x${String(index)}`)
  const php = { extension, serializeHandler: handler, standBackMs: 20 }
  const options = { savePath: ports.map((port) => `tcp://127.0.0.1:${String(port)}`).join(','), deadlineMs: 60_000, php }
  const job = { ids, holdMs: 0, times: total / 6 }
  const both = await countTogether({
    ini: { ...iniOf(ports, extension), 'session.serialize_handler': handler, 'memcached.sess_binary_protocol': isBinary },
    options,
    phpJob: job,
    nodeJob: { ...job, atOnce: 5 },
    processes: 3,
  })
  const workers = [...both.node, ...both.php]
  expect(workers.map(sumOf)).toEqual(Array.from({ length: 6 }, () => total / 6))
  expect(both.node.map(({ errors }) => errors)).toEqual([{}, {}, {}])
  const manager = new SessionManager(options)
  const stored = await Promise.all(ids.map(async (id) => [id, (await manager.peek<{ n: number }>(id))?.n]))
  await manager.close()
  expect(Object.fromEntries(stored)).toEqual(totalOf(workers))
}, 600_000)
