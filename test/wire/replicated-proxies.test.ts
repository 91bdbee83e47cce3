/** Sessions on three nodes behind real proxies: what a user may do there, and what is refused, as a proxy does not list keys. */
import { LatchkeyError, SessionManager } from 'latchkey'
import { expect, it } from 'vitest'
import { systemClock } from '../../src/system/clock.js'
import { createMemcachedWire } from '../../src/wire/memcached/memcached-wire.js'
import { latchkey } from '../cli/tool.js'
import { keysOf } from '../support/keys-of.js'
import { PATIENCE_MS, serverAddresses } from '../support/memcached-subject.js'
import type { MemcachedServer } from '../support/memcached-server.js'
import { missingRoad, ThreeNodes } from '../support/pipes.js'
import { REAL_PROXY_KINDS } from '../support/proxies.js'
import { refusalOfPath } from '../support/save-path-refusal.js'

const refusalOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'served',
    (error: unknown) => (error instanceof LatchkeyError ? `${error.code} ${error.message}` : String(error)),
  )

async function keysOn({ address }: MemcachedServer): Promise<string[]> {
  const wire = createMemcachedWire({ servers: serverAddresses(address, 'text'), clock: systemClock, flightMs: PATIENCE_MS, connections: 1 })
  return keysOf(wire, '').finally(() => wire.close())
}

it.each(REAL_PROXY_KINDS.map((road) => [`${road}${missingRoad(road)}`, road] as const))(
  'behind %s a server is replaced by an empty one at its place: nobody is logged out, and sessions are repaired as they are used',
  async (_name, road) => {
    if (missingRoad(road) !== '') return
    await using three = await ThreeNodes.start(road)
    const manager = new SessionManager({ savePath: three.savePath, deadlineMs: 9000, leaseSec: 5 })
    const count = (id: string): Promise<void> =>
      manager.run(id, ({ data }) => {
        data['n'] = Number(data['n'] ?? 0) + 1
      })
    for (const id of ['used', 'idle']) await count(id)
    await three.nodes[0].restart()
    // The proxy calls it again after a moment; until then it is away.
    await expect.poll(async () => {
      await count('used')
      return (await manager.health()).nodes.map(({ isUp, isEmptied }) => [isUp, isEmptied])
    }).toEqual([[true, true], [true, false], [true, false]])
    // Who is late to answer is not waited for, and may be left out of one visit's repair.
    await expect.poll(async () => {
      await count('used')
      return keysOn(three.nodes[0])
    }).toContainEqual(expect.stringMatching(/\{used\}$/))
    const before = await manager.peek('used')

    // What would have to list keys says so, and does nothing.
    const env = { LATCHKEY_SAVE_PATH: three.savePath }
    for (const command of [['repair'], ['locks'], ['stats', '--count']]) {
      const outcome = await latchkey(command, { env })
      expect([command, outcome.exitCode, outcome.err]).toEqual([command, 5, expect.stringMatching(/LATCHKEY_NOT_SUPPORTED.*proxy/)])
    }
    for (const work of [() => manager.length(), () => manager.clear()]) expect(await refusalOf(work())).toMatch(/^LATCHKEY_NOT_SUPPORTED .*proxy/)
    expect((await latchkey(['doctor'], { env })).out).toContain('as it is used')

    await three.nodes[1].kill()
    expect(await manager.peek('used')).toEqual(before)
    expect(await refusalOf(manager.peek('idle'))).toMatch(/^LATCHKEY_SERVER_UNAVAILABLE .*has been emptied, and has not got its sessions back/)
    expect((await manager.health()).state).toBe('degraded')
    await manager.close({ graceMs: 0 })
  },
)

it.each(['twemproxy', 'mcrouter', 'proxy'])('behind %s the list is not changed under way: refused, with what to do in its place', (via) => {
  const server = (name: string): string => `tcp://${name}?via=${via}`
  for (const path of [`${['a', 'b', 'c', 'd'].map(server).join(',')}&change=joins&replicas=3`, `tcp://a?via=${via}&pipes=4&replicas=3&change=joins`]) {
    if (via === 'twemproxy' && path.includes('pipes')) continue
    expect(refusalOfPath(path)).toContain('through a proxy the list stays as it is: let the proxy lead to another server in the place of one')
  }
})
