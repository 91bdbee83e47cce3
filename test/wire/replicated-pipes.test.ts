/** Sessions on three memcached through one proxy that is a pipe to each. */
import { SessionManager } from 'latchkey'
import { expect, it } from 'vitest'
import { missingRoad, ThreeNodes } from '../support/pipes.js'
import { keysThrough } from '../support/proxies.js'

it.each((['proxy', 'mcrouter'] as const).map((road) => [`${road}${missingRoad(road)}`, road] as const))(
  'through %s: a node that stands still holds up no other, and each is told by its own name',
  async (_name, road) => {
    if (missingRoad(road) !== '') return
    await using three = await ThreeNodes.start(road)
    const manager = new SessionManager({ savePath: three.savePath, deadlineMs: 6000 })
    let n = 0
    const count = (): Promise<void> => manager.run('sid', ({ data }) => void (data['n'] = ++n))
    const { record } = keysThrough(road, 'sid')
    // Two are enough to serve; whichever stands still, two shall have it.
    await expect.poll(async () => {
      await count()
      const texts = await Promise.all(three.nodes.map((node, index) => node.commandText(`get n${String(index + 1)}/${record}`)))
      return texts.every((text) => text.includes(`{"n":${String(n)}}`))
    }).toBe(true)
    await three.nodes[0].pause()
    // On a connection that all share, nothing was answered.
    for (let turn = 0; turn < 5; turn++) await count()
    expect(await manager.peek('sid')).toEqual({ n })
    const names = Object.keys(manager.stats().nodes)
    const { state, nodes } = await manager.health()
    expect(state).toBe('ready')
    expect(nodes.map(({ name, isUp }) => [name.replace(/^.*\//, ''), isUp])).toEqual([['n1', false], ['n2', true], ['n3', true]])
    expect(names).toEqual(nodes.map(({ name }) => name))
    three.nodes[0].resume()
    await manager.close()
  },
)
