/** The list of nodes is changed while visitors click: by real memcached servers, processes that get their save paths one by one, and the tool. */
import { LatchkeyError, type Session, SessionManager } from 'latchkey'
import { afterEach, describe, expect, it } from 'vitest'
import { Nodes } from '../../src/wire/replicated/nodes.js'
import { jsonOf, latchkey, type Outcome } from '../cli/tool.js'
import { bringToAll } from '../support/bring-to-all.js'
import { Clicks } from '../support/clicks.js'
import { rowsOf } from '../support/matrix.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { refusalOfPath } from '../support/save-path-refusal.js'

interface Counter {
  n: number
}

const OPTIONS = { leaseSec: 5, waitMs: 8000, deadlineMs: 10_000 }
const IDS = Array.from({ length: 8 }, (_id, at) => `clicked${String(at)}`)
const IDLE = Array.from({ length: 40 }, (_id, at) => `idle${String(at)}`)
const CLICKS = 60

const stack: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const end of stack.splice(0).reverse()) await end()
})

async function servers(count: number): Promise<MemcachedServer[]> {
  const started = await Promise.all(Array.from({ length: count }, () => MemcachedServer.start()))
  for (const server of started) stack.push(() => server.stop())
  return started
}

/** A save path: each server, and whether it joins or leaves. */
const pathOf = (nodes: readonly (readonly [MemcachedServer | undefined, ('joins' | 'leaves')?])[]): string =>
  `${nodes.map(([server, change], at) => `tcp://${server?.address ?? ''}${at === nodes.length - 1 ? '?replicas=3' : change === undefined ? '' : '?'}${change === undefined ? '' : `${at === nodes.length - 1 ? '&' : ''}change=${change}`}`).join(',')}`

function managerOf(savePath: string): SessionManager {
  const manager = new SessionManager({ savePath, ...OPTIONS })
  stack.push(() => manager.close({ graceMs: 0 }))
  return manager
}

/** A process, which gets one save path after the other. */
class Process {
  private manager: SessionManager

  constructor(savePath: string) {
    this.manager = managerOf(savePath)
  }

  restart(savePath: string): void {
    this.manager = managerOf(savePath)
  }

  run<Data extends object, Result>(id: string | undefined, work: (session: Session<Data>) => Result | Promise<Result>): Promise<Result> {
    return this.manager.run<Data, Result>(id, work)
  }
}

const count = (manager: Pick<SessionManager, 'run'>, id: string): Promise<void> =>
  manager.run<Counter>(id, ({ data }) => {
    data.n = (data.n ?? 0) + 1
  })

const counted = async (manager: SessionManager, id: string): Promise<number | undefined> => (await manager.peek<Counter>(id))?.n

const repair = (savePath: string): Promise<Outcome> => latchkey(['repair'], { env: { LATCHKEY_SAVE_PATH: savePath } })

/** As an operator does it: where a node has not answered in time, beside much other work, the tool says "Run it again". */
async function change(savePath: string): Promise<void> {
  const done = [0, expect.objectContaining({ changed: true, locked: 0, failed: 0 })]
  const run = async (): Promise<unknown[]> => {
    const outcome = await repair(savePath)
    return [outcome.exitCode, jsonOf(outcome)]
  }
  await expect.poll(run, { timeout: 50_000 }).toEqual(done)
}

const refusalOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'served',
    (error: unknown) => (error instanceof LatchkeyError ? `${error.code} ${error.message}` : String(error)),
  )

interface Lists {
  readonly nodes: readonly MemcachedServer[]
  readonly old: string
  readonly both: string
  readonly next: string
  /** The nodes of the new list. */
  readonly kept: readonly MemcachedServer[]
}

const CHANGES: Readonly<Record<string, () => Promise<Lists>>> = {
  'a node takes the place of another one': async () => {
    const nodes = await servers(4)
    const [a, b, c, d] = nodes
    return { nodes, old: pathOf([[a], [b], [c]]), both: pathOf([[a], [b], [c, 'leaves'], [d, 'joins']]), next: pathOf([[d], [a], [b]]), kept: nodes.filter((one) => one !== c) }
  },
  'a node joins': async () => {
    const nodes = await servers(4)
    const [a, b, c, d] = nodes
    return { nodes, old: pathOf([[a], [b], [c]]), both: pathOf([[d, 'joins'], [a], [b], [c]]), next: pathOf([[a], [b], [c], [d]]), kept: nodes }
  },
  'a node leaves': async () => {
    const nodes = await servers(4)
    const [a, b, c, d] = nodes
    return { nodes, old: pathOf([[a], [b], [c], [d]]), both: pathOf([[a], [b, 'leaves'], [c], [d]]), next: pathOf([[a], [c], [d]]), kept: nodes.filter((one) => one !== b) }
  },
}

describe.each(rowsOf(Object.entries(CHANGES)))('%s', (_name, make) => {
  it('while visitors click: nobody is refused or logged out, and nothing is lost, also when one node more is lost then', async () => {
    const { old, both, next, nodes, kept } = await make()
    const processes = [new Process(old), new Process(old)]
    const first = managerOf(old)
    await Promise.all(IDLE.map((id) => count(first, id)))
    await first.destroy('idle0')
    const token = await first.mutex('report').run((hold) => hold.fencingToken())
    const clicks = new Clicks(IDS, 2)
    await clicks.during(processes, 3, async () => {
      await clicks.acknowledgeMore(CLICKS)
      // Neighbouring save paths at once, for a while.
      for (const process of processes) {
        process.restart(both)
        await clicks.acknowledgeMore(CLICKS)
      }
      await change(both)
      await clicks.acknowledgeMore(CLICKS)
      for (const process of processes) {
        process.restart(next)
        await clicks.acknowledgeMore(CLICKS)
      }
    })
    expect([clicks.strangers, [...clicks.codes]]).toEqual([[], []])
    for (const left of nodes) if (!kept.includes(left)) await left.kill()
    for (const lost of kept) {
      await lost.pause()
      const manager = managerOf(next)
      expect(await clicks.judge(manager)).toMatchObject({ lost: 0, tooMany: 0 })
      expect(await Promise.all(IDLE.map((id) => counted(manager, id)))).toEqual(IDLE.map((id) => (id === 'idle0' ? undefined : 1)))
      lost.resume()
    }
    await expect.poll(() => managerOf(next).mutex('report').run((hold) => hold.fencingToken()).catch(() => 0)).toBeGreaterThan(token)
    expect(jsonOf(await repair(next))).toMatchObject({ changed: false, failed: 0 })
  }, 90_000)
})

describe('a change of the list', () => {
  it('a dead node is replaced, which is what it is for mostly', async () => {
    const [a, b, c, d] = await servers(4)
    const [old, both, next] = [pathOf([[a], [b], [c]]), pathOf([[a], [b], [c, 'leaves'], [d, 'joins']]), pathOf([[a], [b], [d]])]
    const first = managerOf(old)
    await Promise.all(IDLE.map((id) => count(first, id)))
    await bringToAll(first)
    await c?.kill()
    const moved = await repair(both)
    expect([moved.exitCode, jsonOf(moved)]).toEqual([0, expect.objectContaining({ changed: true, failed: 0 })])
    await a?.pause()
    const manager = managerOf(next)
    expect(await Promise.all(IDLE.map((id) => counted(manager, id)))).toEqual(IDLE.map(() => 1))
    a?.resume()
    // Back with what it had, it is told from a node of the list.
    await c?.restart()
    expect(await refusalOf(count(managerOf(old), 'idle1'))).toContain('LATCHKEY_NOT_SUPPORTED')
  })

  it('who holds a new session by the old list is waited for, and what it stores is on the new one', async () => {
    const [a, b, c, d] = await servers(4)
    const [old, both, next] = [pathOf([[a], [b], [c]]), pathOf([[a], [b], [c, 'leaves'], [d, 'joins']]), pathOf([[a], [b], [d]])]
    const session = await managerOf(old).start<Counter>('fresh')
    const moving = repair(both)
    await expect.poll(() => a?.commandText('get sess:-lck')).toContain('>')
    session.data.n = 7
    await session.release()
    expect(jsonOf(await moving)).toMatchObject({ changed: true, locked: 0 })
    expect(await d?.commandText('get sess:fresh')).toContain('{"n":7}')
    await a?.pause()
    expect(await counted(managerOf(next), 'fresh')).toBe(7)
    a?.resume()
  })

  it('who has not got its save path, or has it too early, is refused and told what to do; a change to yet another list is, too', async () => {
    const [a, b, c, d, e] = await servers(5)
    const [old, both, next] = [pathOf([[a], [b], [c]]), pathOf([[a], [b], [c, 'leaves'], [d, 'joins']]), pathOf([[a], [b], [d]])]
    await count(managerOf(old), 'known')
    expect(await refusalOf(count(managerOf(next), 'known'))).toContain('LATCHKEY_NOT_SUPPORTED')
    await count(managerOf(both), 'known')
    const phase = async (path: string): Promise<unknown[]> => {
      const { state, listChange } = await managerOf(path).health()
      return [state, listChange]
    }
    expect([await phase(old), await phase(both), await phase(next)]).toEqual([['ready', undefined], ['ready', 'before'], ['degraded', undefined]])
    const begun = await managerOf(both).engine.wire.replicaNodes?.beginChange()
    expect(begun?.isBegun).toBe(true)
    expect(await refusalOf(count(managerOf(old), 'known'))).toMatch(/LATCHKEY_NOT_SUPPORTED .*The list is being changed/)
    expect(await refusalOf(counted(managerOf(old), 'known'))).toMatch(/LATCHKEY_NOT_SUPPORTED/)
    expect(await refusalOf(count(managerOf(next), 'known'))).toMatch(/LATCHKEY_NOT_SUPPORTED .*has not ended: run "npx latchkey repair"/)
    expect([await phase(old), await phase(both), await phase(next)]).toEqual([['degraded', undefined], ['ready', 'moving'], ['degraded', undefined]])
    await count(managerOf(both), 'known')
    const other = await repair(pathOf([[a], [b], [c, 'leaves'], [e, 'joins']]))
    expect([other.exitCode, other.err]).toEqual([5, expect.stringContaining('The change of the list was not begun')])
    expect(await e?.commandText('get sess:-lck')).toBe('END\r\n')
    const doctor = async (): Promise<string> => (await latchkey(['doctor'], { env: { LATCHKEY_SAVE_PATH: both } })).out
    expect(await doctor()).toContain('Sessions are being carried over')
    expect(jsonOf(await repair(both))).toMatchObject({ changed: true })
    expect(await doctor()).toContain('The list is changed')
    // The node that has left may be away by then.
    await c?.pause()
    expect([await phase(both), await phase(next)]).toEqual([['ready', 'ended'], ['ready', undefined]])
    c?.resume()
    expect(await refusalOf(count(managerOf(old), 'known'))).toContain('LATCHKEY_NOT_SUPPORTED')
    await count(managerOf(both), 'known')
    await count(managerOf(next), 'known')
    expect(await counted(managerOf(next), 'known')).toBe(5)
    // Run again, and back: who left earlier may join again, with what it has.
    expect(jsonOf(await repair(both))).toMatchObject({ changed: true })
    expect(jsonOf(await repair(pathOf([[a], [b], [d, 'leaves'], [c, 'joins']])))).toMatchObject({ changed: true })
    expect(await counted(managerOf(old), 'known')).toBe(5)
  }, 60_000)

  it('the doctor gives a node that joins the advice of the others before the change, also where it was marked, and of one that was lost behind it says so', async () => {
    const [a, b, c, d] = await servers(4)
    const [old, both] = [pathOf([[a], [b], [c]]), pathOf([[a], [b], [c, 'leaves'], [d, 'joins']])]
    await bringToAll(managerOf(old))
    await count(managerOf(old), 'known')
    const examined = async (): Promise<unknown> => {
      const outcome = await latchkey(['doctor'], { env: { LATCHKEY_SAVE_PATH: both } })
      const told = jsonOf(outcome) as { servers: { findings: { code: string; advice: string }[] }[] }
      return [outcome.exitCode, ...told.servers.map(({ findings }) => findings.filter(({ code }) => code !== 'temporary-lru-off').map(({ code, advice }) => `${code}: ${advice}`).join())]
    }
    const waits = expect.stringMatching(/^list-changing: When every process has this save path/) as unknown
    expect(await examined()).toEqual([0, waits, waits, waits, waits])
    const listed = (path: string): string => managerOf(path).engine.wire.replicaNodes?.listed ?? ''
    // By who began the change and did not get far, or when it was taken off the list.
    for (const mark of ['begun emptied -', `left whole ${listed(both)}>>${listed(old)}`]) {
      await d?.commandText(`set sess:-lck 0 0 ${String(mark.length)}\r\n${mark}`)
      expect(await examined()).toEqual([0, waits, waits, waits, waits])
    }
    expect(jsonOf(await repair(both))).toMatchObject({ changed: true })
    await d?.commandText('flush_all')
    const ended = expect.stringMatching(/^list-changing: Give every process the new one/) as unknown
    expect(await examined()).toEqual([1, ended, ended, ended, 'node-emptied: Run "npx latchkey repair".'])
  })

  it('of two who carry it out at once, the one who is late does not set a node back that the other one has ended it on', async () => {
    const [a, b, c, d] = await servers(4)
    const both = pathOf([[a], [b], [c], [d, 'joins']])
    await count(managerOf(pathOf([[a], [b], [c]])), 'known')
    const [first, second] = [managerOf(both).engine.wire.replicaNodes, managerOf(both).engine.wire.replicaNodes]
    const begun = await first?.beginChange()
    // The late one has asked how far it is, and stands still before it sets the first mark.
    let isStopped = false
    const member = second instanceof Nodes ? second.memberAt(0) : undefined
    const readMark = member?.readMark.bind(member)
    if (member === undefined || readMark === undefined) throw new Error('no such node')
    let reads = 0
    member.readMark = async (getMark) => {
      if (++reads === 3) isStopped = (await first?.endChange(begun?.states ?? [])) === true
      return readMark(getMark)
    }
    await second?.beginChange()
    expect(isStopped).toBe(true)
    expect(await d?.commandText('get sess:-lck')).toContain(' whole 3of4-')
  })

  it('while a node of the new list is away it does not end, and nobody is refused', async () => {
    const [a, b, c, d] = await servers(4)
    const [old, both] = [pathOf([[a], [b], [c]]), pathOf([[a], [b], [c, 'leaves'], [d, 'joins']])]
    await count(managerOf(old), 'known')
    await d?.kill()
    expect(await repair(both)).toMatchObject({ exitCode: 3 })
    for (const path of [old, both]) expect(await refusalOf(count(managerOf(path), 'known'))).toMatch(path === both ? /served/ : /served|being changed/)
    await d?.restart()
    expect(jsonOf(await repair(both))).toMatchObject({ changed: true })
  })
})

it('a lock that is left on the node that joins is waited for, which is said; one that stays is named', async () => {
  const [a, b, c, d] = await servers(4)
  const [old, both] = [pathOf([[a], [b], [c]]), pathOf([[a], [b], [c, 'leaves'], [d, 'joins']])]
  for (const id of ['one', 'two']) await count(managerOf(old), id)
  await d?.commandText('add sess:one-lck 0 600 4\r\nleft')
  const stays = await repair(both)
  expect(jsonOf(stays)).toMatchObject({ changed: false, repaired: 1, locked: 1, failed: 0, failures: [expect.stringMatching(/LATCHKEY_LOCK_TIMEOUT.*keeps a lock of it still/)] })
  const joins = { server: `tcp://${d?.address ?? ''}`, was: 'joining' }
  expect(jsonOf(stays)).toMatchObject({ servers: expect.arrayContaining([{ ...joins, is: 'emptied' }]) as unknown })
  expect(stays.err).toContain(`waits for a lock that tcp://${d?.address ?? ''} keeps`)
  const ends = repair(both)
  await d?.commandText('delete sess:one-lck')
  expect(jsonOf(await ends)).toMatchObject({ changed: true, locked: 0, failed: 0, servers: expect.arrayContaining([{ ...joins, is: 'whole' }]) as unknown })
  expect(await d?.commandText('get sess:one')).toContain('{"n":1}')
})

describe('a save path of a change', () => {
  it.each([
    ['tcp://a,tcp://b,tcp://c?change=leaves,tcp://d?change=joins&replicas=3', ''],
    ['tcp://a,tcp://b,tcp://c,tcp://d?change=joins&replicas=3', ''],
    ['tcp://a?change=moves,tcp://b,tcp://c?replicas=3', 'change is joins or leaves'],
    ['tcp://a?change=joins,tcp://b,tcp://c', 'from replicas=3 on; without that a list is changed as docs/guide/changing-servers.md says'],
    ['tcp://a?change=joins,tcp://b?replicas=1', 'from replicas=3 on'],
    ['tcp://a?change=joins,tcp://b,tcp://c?replicas=3', '2 are on the list before the change: name who leaves (change=leaves)'],
    ['tcp://a?change=leaves,tcp://b,tcp://c?replicas=3', '2 are on the list behind the change: name who joins in its place (change=joins)'],
    ['tcp://a,tcp://b,tcp://c,tcp://d?change=joins,tcp://e?change=joins&replicas=3', 'change the list one by one'],
    ['tcp://a?via=twemproxy,tcp://b?via=twemproxy,tcp://c?via=twemproxy,tcp://d?via=twemproxy&change=joins&replicas=3', 'through a proxy the list stays as it is'],
  ])('%s: %s', (path, message) => {
    expect(refusalOfPath(path)).toContain(message)
    if (message === '') expect(refusalOfPath(path)).toBe('')
  })
})
