import { afterAll, beforeAll, expect, it } from 'vitest'
import { MemcachedServer } from '../support/memcached-server.js'
import { SessionProcess } from '../support/session-process.js'

let server: MemcachedServer

beforeAll(async () => {
  server = await MemcachedServer.start()
})
afterAll(async () => {
  await server.stop()
})

it.each([5, 50, 300])('four processes with endless local waiters, holds of %i ms: each is served every five seconds', async (holdMs) => {
  const savePath = `tcp://127.0.0.1:${String(server.port)}`
  const processes = await Promise.all(Array.from({ length: 4 }, () => SessionProcess.start({ savePath })))
  const startMs = Date.now()
  const results = await Promise.all(
    processes.map((one) => one.call({ do: 'loop', id: `fair-${String(holdMs)}`, holdMs, forMs: 20_000 })),
  )
  await Promise.all(processes.map((one) => one.kill()))
  for (const result of results) {
    const times = 'value' in result && Array.isArray(result.value) ? result.value.map(Number) : []
    const gaps = times.map((time, index) => time - (times[index - 1] ?? startMs))
    expect(times.length).toBeGreaterThan(3)
    expect(Math.max(...gaps)).toBeLessThanOrEqual(5000)
  }
})
