import { latchkey } from 'latchkey/express'
import { playRaces } from 'latchkey/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { LatchkeyError, SessionManager, type SessionManagerOptions } from 'latchkey'
import { latchkey as latchkeyTool } from '../cli/tool.js'
import { bringToAll } from '../support/bring-to-all.js'
import { heldOnAll } from '../support/held-on-all.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { refusalOfPath } from '../support/save-path-refusal.js'

interface Counter {
  n: number
}

const servers: MemcachedServer[] = []
const open: SessionManager[] = []
let prefixes = 0
let prefix = ''

beforeAll(async () => {
  servers.push(...(await Promise.all([1, 2, 3].map(() => MemcachedServer.start()))))
})

afterAll(async () => {
  await Promise.all(open.map((manager) => manager.close({ graceMs: 0 })))
  await Promise.all(servers.map((server) => server.stop()))
})

/** Each test founds a set of its own. */
beforeEach(() => {
  prefix = `t${String(++prefixes)}:`
})

const node = (index: number): MemcachedServer => {
  const server = servers[index]
  if (server === undefined) throw new Error('no such server')
  return server
}

function managerOf(options: SessionManagerOptions = {}): SessionManager {
  const savePath = `${servers.map(({ port }) => `tcp://127.0.0.1:${String(port)}`).join(',')}?replicas=3`
  const manager = new SessionManager({ savePath, prefix, leaseSec: 2, deadlineMs: 9000, ...options })
  open.push(manager)
  return manager
}

const count = (manager: SessionManager, id: string): Promise<void> =>
  manager.run<Counter>(id, ({ data }) => {
    data.n = (data.n ?? 0) + 1
  })

const counted = async (manager: SessionManager, id: string): Promise<number | undefined> => (await manager.peek<Counter>(id))?.n

/** How a node is marked. */
const markOf = async (server: MemcachedServer): Promise<string | undefined> => (await server.commandText(`get ${prefix}-lck`)).split('\r\n')[1]

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'served',
    (error: unknown) => (error instanceof LatchkeyError ? error.code : String(error)),
  )

describe('sessions on three nodes', () => {
  it('each node has an incarnation of its own, by which the versions of its locks are told from those of the others', async () => {
    await count(managerOf(), 'first')
    const marksOf = (): Promise<readonly (string | undefined)[]> => Promise.all(servers.map((_server, index) => markOf(node(index))))
    // On a busy machine one is late with its mark, and is not waited for.
    await expect.poll(async () => (await marksOf()).every((mark) => /^[0-9a-f]{16} whole 3of3-[0-9a-f]{16}$/.test(mark ?? ''))).toBe(true)
    expect(new Set(await marksOf()).size).toBe(3)
  })

  it('two managers count in seven sessions, and nothing is lost; each node has every record', async () => {
    const managers = [managerOf(), managerOf()]
    await Promise.all(Array.from({ length: 210 }, (_one, turn) => count(managers[turn % 2] ?? managerOf(), `s${String(turn % 7)}`)))
    for (let id = 0; id < 7; id++) expect(await counted(managerOf(), `s${String(id)}`)).toBe(30)
    // On a busy machine a node is late, and is not waited for: whoever holds the session next puts it there.
    let n = 30
    await expect.poll(async () => {
      await count(managerOf(), 's3')
      n++
      const copies = await Promise.all(servers.map((server) => server.commandText(`get ${prefix}s3`)))
      return copies.every((copy) => copy.includes(`{"n":${String(n)}}`))
    }).toBe(true)
    expect(await managerOf().length()).toBe(7)
  })

  it('a lock is on each node while it is held, and on none afterwards', async () => {
    const manager = managerOf()
    const session = await heldOnAll<Counter>(manager, 'held', servers, `${prefix}held-lck`)
    const locks = (): Promise<string[]> => Promise.all(servers.map((server) => server.commandText(`get ${prefix}held-lck`)))
    for (const lock of await locks()) expect(lock).toContain('"token"')
    expect((await manager.holder('held'))?.pid).toBe(process.pid)
    expect(await codeOf(managerOf({ waitMs: 0 }).start('held'))).toBe('LATCHKEY_LOCK_TIMEOUT')
    await session.release()
    await expect.poll(async () => (await locks()).join('')).not.toContain('token')
  })

  it('who holds a session that is destroyed is fenced, and it does not come back', async () => {
    const [one, other] = [managerOf(), managerOf()]
    await count(one, 'ended')
    const session = await one.start<Counter>('ended')
    session.data.n = 99
    await other.destroy('ended')
    expect(await codeOf(session.release())).toBe('LATCHKEY_FENCED')
    expect(await counted(other, 'ended')).toBeUndefined()
    // One that is late, on a busy machine, hears of it by whoever comes next.
    for (const server of servers) {
      await expect.poll(async () => {
        await counted(other, 'ended')
        return server.commandText(`get ${prefix}ended`)
      }).toMatch(/^VALUE \S+ \d+ \d+\r\ncopy1 [^\n]*\n\r\n/)
    }
  })

  it('a session is regenerated, retired, listed and cleared', async () => {
    const manager = managerOf({ retiredCopySec: 5 })
    const session = await manager.start<Counter>('old')
    session.data.n = 1
    await session.save()
    await session.regenerate()
    const { id } = session
    await session.release()
    expect(await counted(manager, id)).toBe(1)
    const copy = await manager.start<Counter>('old')
    expect(copy.isReadOnly).toBe(true)
    expect(await manager.clear()).toBe(1)
    expect(await counted(manager, id)).toBeUndefined()
  })

  it('a named lock gives tokens that grow', async () => {
    const [one, other] = [managerOf(), managerOf()]
    const tokens: number[] = []
    for (const manager of [one, other, one]) await manager.mutex('report').run(async (hold) => void tokens.push(await hold.fencingToken()))
    expect([...tokens].sort((left, right) => left - right)).toEqual(tokens)
  })

  it('survives all races of the race kit', async () => {
    const manager = managerOf()
    const middleware = () => latchkey({ manager, secret: 'cat', resave: false, saveUninitialized: false })
    const stories = await playRaces({ middleware, patienceMs: 20 })
    expect(stories.filter(({ survived }) => !survived)).toEqual([])
  })
})

describe('a node of three', () => {
  it('is killed: nobody notices; it comes back empty: it is told from one that never had the session, and repaired by holders', async () => {
    const manager = managerOf()
    await count(manager, 'kept')
    await count(manager, 'idle')
    await bringToAll(manager)
    await node(0).kill()
    for (let turn = 0; turn < 20; turn++) await count(manager, 'kept')
    expect((await manager.health({ withinMs: 10_000 })).state).toBe('ready')
    await node(0).restart()
    expect(await counted(managerOf(), 'kept')).toBe(21)
    await count(manager, 'kept')
    await expect.poll(() => node(0).commandText(`get ${prefix}-lck`)).toMatch(/ emptied 3of3-/)
    let n = 22
    await expect.poll(async () => {
      await count(manager, 'kept')
      return (await node(0).commandText(`get ${prefix}kept`)).includes(`{"n":${String(++n)}}`)
    }).toBe(true)
    // With another one away: what was repaired is had, and what was not is refused, not taken for new.
    await node(1).kill()
    expect(await counted(managerOf(), 'kept')).toBe(n)
    expect(await codeOf(count(managerOf(), 'idle'))).toBe('LATCHKEY_SERVER_UNAVAILABLE')
    expect(await codeOf(counted(managerOf(), 'idle'))).toBe('LATCHKEY_SERVER_UNAVAILABLE')
    await node(1).restart()
  })

  it('and then all of them are restarted empty, one while another is away: everybody begins anew, and nobody is refused for ever', async () => {
    const manager = managerOf()
    await count(manager, 'lost')
    await node(1).kill()
    await node(0).kill()
    await node(0).restart()
    await expect.poll(async () => (await codeOf(counted(manager, 'lost'))) + (await codeOf(count(manager, 'lost'))) + String(await markOf(node(0)))).toContain(' emptied -')
    await node(2).kill()
    await Promise.all([node(1).restart(), node(2).restart()])
    await expect.poll(() => codeOf(count(managerOf(), 'lost'))).toBe('served')
    expect(await counted(managerOf(), 'lost')).toBe(1)
  })

  it('stands still, and comes back with what it had: the older copy does not count', async () => {
    // A flight waits for at most a third of it: 20 s, were one to wait for the node that stands still.
    const manager = managerOf({ deadlineMs: 60_000 })
    await count(manager, 'stale')
    await bringToAll(manager)
    await node(2).pause()
    const startedMs = performance.now()
    for (let turn = 0; turn < 10; turn++) await count(manager, 'stale')
    expect(performance.now() - startedMs).toBeLessThan(15_000)
    node(2).resume()
    await node(0).pause()
    expect(await counted(managerOf(), 'stale')).toBe(11)
    await count(managerOf(), 'stale')
    node(0).resume()
    expect(await counted(managerOf(), 'stale')).toBe(12)
  })

  it('is killed, and one of the others has evicted a session: refused, and it is said that they do not agree', async () => {
    const manager = managerOf()
    await count(manager, 'evicted')
    await bringToAll(manager)
    await node(0).kill()
    await node(1).commandText(`delete ${prefix}evicted`)
    const message = /of the nodes that answer 1 has it and others have not, and all 3 must say which is right: .*ECONNREFUSED/
    await expect(manager.peek('evicted')).rejects.toMatchObject({ code: 'LATCHKEY_SERVER_UNAVAILABLE', message: expect.stringMatching(message) as string })
    await node(0).restart()
  })

  it('and another one are killed: refused, by a typed error, and nothing is written', async () => {
    const manager = managerOf()
    await count(manager, 'two')
    await Promise.all([node(0).kill(), node(1).kill()])
    expect(await codeOf(count(manager, 'two'))).toBe('LATCHKEY_SERVER_UNAVAILABLE')
    const { state, nodes } = await manager.health()
    expect([state, nodes.filter(({ isUp }) => !isUp).length]).toEqual(['degraded', 2])
    await Promise.all([node(0).restart(), node(1).restart()])
    // All three are asked: what the third has is the best that anybody knows.
    await expect.poll(() => codeOf(count(managerOf(), 'two'))).toBe('served')
    expect(await counted(managerOf(), 'two')).toBe(2)
  })
})

describe('a set of nodes that is used for the first time', () => {
  it('is founded when all of them answer; until then it is said who does not, and nobody is told to come', async () => {
    await node(2).kill()
    const manager = managerOf()
    const first = count(manager, 'first')
    await expect(first).rejects.toMatchObject({ code: 'LATCHKEY_SERVER_UNAVAILABLE', message: expect.stringMatching(/all of the session's 3 nodes must answer when they are used for the first time: .*has not been used yet, or has been emptied; .*did not answer/) as string })
    expect((await manager.health()).state).toBe('degraded')
    await node(2).restart()
    expect((await manager.health({ withinMs: 10_000 })).state).toBe('ready')
    await expect.poll(() => codeOf(count(manager, 'first'))).toBe('served')
  })

  it('and where one is away and another one came back empty, it is said which one is to be repaired, and who may be refused is not ready', async () => {
    const manager = managerOf()
    await count(manager, 'idle')
    await node(0).restart()
    await count(manager, 'other')
    await expect.poll(() => markOf(node(0))).toMatch(/ emptied 3of3-/)
    await node(1).kill()
    await expect(counted(manager, 'idle')).rejects.toThrow(/2 must answer, and know it: .*has been emptied, and is to be repaired \(npx latchkey repair\)/)
    expect((await manager.health()).state).toBe('degraded')
    await node(1).restart()
  })

  it('a server that is named twice is found: nobody waits for a lock that it would have to grant twice, nor takes one copy for two', async () => {
    const [one, other] = [node(0).port, node(1).port]
    for (const names of [[`localhost:${one}`, `127.0.0.1:${one}`, `127.0.0.1:${other}`], [`127.0.0.1:${one}`, `localhost:${one}`, `0.0.0.0:${one}`]]) {
      await Promise.all(servers.map((server) => server.commandText('flush_all')))
      const savePath = `${names.map((name) => `tcp://${name}`).join(',')}?replicas=3`
      const manager = managerOf({ savePath, waitMs: 20_000 })
      const refused = { code: 'LATCHKEY_NOT_SUPPORTED', message: expect.stringMatching(/tcp:\S+ and tcp:\S+ are one server.*name each server once/) as string }
      await expect(count(manager, 'twice')).rejects.toMatchObject(refused)
      expect((await manager.health()).state).toBe('degraded')
      const tool = { env: { LATCHKEY_SAVE_PATH: savePath } }
      expect(await latchkeyTool(['doctor', '--prefix', prefix], tool)).toMatchObject({ exitCode: 1, out: expect.stringContaining('server-named-twice') as string })
      expect(await latchkeyTool(['repair', '--prefix', prefix], tool)).toMatchObject({ exitCode: 5, err: expect.stringContaining('Name each server once') as string })
    }
  })
})

describe('processes with two lists', () => {
  const pathOf = (...nodes: number[]): string => `${nodes.map((index) => `tcp://127.0.0.1:${String(node(index).port)}`).join(',')}?replicas=${String(nodes.length)}`
  const withList = (...nodes: number[]): SessionManager => managerOf({ savePath: pathOf(...nodes) })

  it('the same nodes in another order are the same list', async () => {
    await count(withList(0, 1, 2), 'ordered')
    const other = withList(2, 0, 1)
    await count(other, 'ordered')
    expect(await counted(withList(1, 2, 0), 'ordered')).toBe(2)
    expect((await other.health({ withinMs: 10_000 })).state).toBe('ready')
  })

  it('who comes with another list is refused, whatever it asks for, is told what to do, and marks nothing', async () => {
    const first = withList(0, 1, 2)
    await count(first, 'split')
    const marks = await Promise.all(servers.map(markOf))
    const other = withList(0)
    for (const work of [() => count(other, 'split'), () => count(other, 'new'), () => counted(other, 'split'), () => other.destroy('split')]) {
      await expect(work()).rejects.toMatchObject({ code: 'LATCHKEY_NOT_SUPPORTED', message: expect.stringContaining('Give every process the same save path') as string })
    }
    const { state, nodes } = await other.health()
    expect([state, nodes[0]?.reason]).toEqual(['degraded', expect.stringContaining('by another list of servers (3of3-')])
    expect(await Promise.all(servers.map(markOf))).toEqual(marks)
    for (const server of servers) expect(await server.commandText(`get ${prefix}split-lck`)).toBe('END\r\n')
    await count(first, 'split')
    expect(await counted(first, 'split')).toBe(2)
  })

  it('a node of theirs is never marked by who has another list, also where it was emptied', async () => {
    const first = withList(0, 1, 2)
    await count(first, 'kept')
    await node(2).commandText('flush_all')
    const other = managerOf({ savePath: pathOf(1, 2).replace('replicas=2', 'replicas=1') })
    // Each is asked of one of the two nodes.
    for (const id of ['one', 'two', 'three', 'four']) expect(await codeOf(count(other, id))).toBe('LATCHKEY_NOT_SUPPORTED')
    expect(await markOf(node(2))).toBe('')
    await count(first, 'kept')
    await expect.poll(() => markOf(node(2))).toMatch(/ emptied 3of3-/)
  })
})

describe('a save path with replicas', () => {
  const three = 'tcp://a,tcp://b,tcp://c'

  it.each<[path: string, message: string]>([
    [`${three}?replicas=3`, ''],
    ['tcp://a?via=proxy&pipes=3&replicas=3', ''],
    ['tcp://a?replicas=1', ''],
    [`${three}?replicas=5`, '5 copies need as many servers, and 3 are named: name 2 more.'],
    ['tcp://a,tcp://b?replicas=3', '3 copies need as many servers, and 2 are named: name 1 more, or leave replicas out.'],
    ['tcp://a?replicas=3', '3 copies need as many servers, and 1 is named'],
    [`${three}?replicas=2`, 'with 2 copies no more servers may be away than with 1: a majority decides. Give an odd number, 1 or 3, and name at least as many servers.'],
    [`${three}?replicas=4`, 'with 4 copies no more servers may be away than with 3'],
    ...['0', 'x', '10', '-1', '3.0'].map((bad) => [`${three}?replicas=${bad}`, `replicas is how many servers keep each session: an odd number, mostly 3, and 9 at the most ("${bad}")`] satisfies [string, string]),
    [`${three}?replicas=3?change=joins`, 'between two parameters goes &'],
    ['tcp://a,tcp://a,tcp://c?replicas=3', 'the same as server 1; name each server once'],
    ['tcp://a?replicas=3,tcp://b?replicas=1,tcp://c', 'it is given twice (3, 1), and counts for all servers: write it once'],
    ['tcp://a?via=proxy&pipes=x&replicas=3', 'pipes is how many servers the proxy leads to: a number from 1 to 9'],
    ['tcp://a?via=proxy&pipes=3', 'pipes=n goes with replicas=n'],
    ['tcp://a?pipes=3&replicas=3', 'a proxy that goes by the beginning of a key'],
    ['tcp://a?via=proxy&versions=own,tcp://b?via=proxy,tcp://c?via=proxy&replicas=3', 'versions=own has no order'],
  ])('%s: %s', (path, message) => {
    expect(refusalOfPath(path)).toContain(message)
    if (message === '') expect(refusalOfPath(path)).toBe('')
  })

  it('not without locks, and not with PHP', () => {
    const savePath = `${three}?replicas=3`
    expect(() => new SessionManager({ savePath, locking: false })).toThrow(/copies are ordered by their locks/)
    expect(() => new SessionManager({ savePath, php: { extension: 'memcached' } })).toThrow(/PHP knows nothing of copies/)
  })
})
