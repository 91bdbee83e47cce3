/**
 * What a hundred visitors go through on three memcached that get into trouble under their clicks: nodes that stand still and die by turns, have
 * too few connections, or answer nonsense. Nothing acknowledged is lost, whoever is refused is told why, and in the end all are served.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import type { SessionManager } from 'latchkey'
import { describe, expect, it } from 'vitest'
import { Clicks } from '../support/clicks.js'
import { keysOnNode } from '../support/keys-of.js'
import { ThreeNodes } from '../support/pipes.js'
import { played, type Scene } from '../support/played-clicks.js'
import { FaultProxy } from '../support/proxy.js'
import { until } from '../support/until.js'

const VISITORS = Array.from({ length: 120 }, (_visitor, at) => `visitor-${String(at)}`)
/** So that locks which nobody has are counted by the dozen and not by the thousand, and the machine has time for its servers. */
const THINK_MS = 800
/** Longer than anything is waited for here: a lock that is left behind would be seen. */
const LEASE_SEC = 120
const OPTIONS = { deadlineMs: 6000, leaseSec: LEASE_SEC, maxHoldMs: 1000 * LEASE_SEC, waitMs: 20_000 }
const CLICKS = 150
const AWAY_MS = 1500
/** Told where a node is late on a busy machine while another one is away. */
const BUSY = ['LATCHKEY_LOCK_TIMEOUT', 'LATCHKEY_OUTCOME_UNKNOWN', 'LATCHKEY_SERVER_UNAVAILABLE']

type Nodes = ThreeNodes['nodes']

/** Each visitor is served, through whichever process. */
async function allAreServed(clicks: Clicks): Promise<void> {
  await Promise.all(clicks.ids.map((id) => clicks.acknowledgeMore(1, id)))
}

/** Which of these keys the nodes have now. @throws FlightError a busy node may be late to say it. */
async function keysOn(nodes: readonly number[], manager: SessionManager, wanted: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const node of nodes) {
    for (const key of await keysOnNode(manager, node, 'sess:')) if (wanted.includes(key)) found.push(`${key} on node ${String(node)}`)
  }
  return found
}

/** One visit may not bring a session to a node that came back empty, where that is late to answer: the next one does. */
function hasAllAgain(node: number, clicks: Clicks, manager: SessionManager): Promise<void> {
  const keys = clicks.ids.map((id) => `sess:${id}`)
  return until('each session is on the node again', () => keysOn([node], manager, keys).then((found) => found.length === keys.length, () => false))
}

/** A lock that one node has not heard the end of is taken off there, long before its lease ends. */
async function noLockIsLeft(clicks: Clicks, manager: SessionManager): Promise<void> {
  const keys = clicks.ids.map((id) => `sess:${id}-lck`)
  let left: string[] = []
  const isFree = async (): Promise<boolean> => {
    left = await keysOn([0, 1, 2], manager, keys)
    return left.length === 0
  }
  await until('no lock is left', () => isFree().catch(() => false)).catch((error: unknown) => expect.fail(`${String(error)}: ${left.join(', ')}`))
}

const TROUBLE: readonly { readonly name: string; readonly codes: readonly string[]; readonly play: (nodes: Nodes, clicks: Clicks, scene: Scene) => Promise<void> }[] = [
  {
    name: 'one stands still, another one is killed and comes back empty, and the third one stands still, by turns',
    codes: BUSY,
    play: async ([first, second, third], clicks, { managers, areBack }) => {
      await first.pause()
      await clicks.acknowledgeMore(CLICKS)
      first.resume()
      await areBack()
      // What was changed without the first one is brought there by who comes next.
      await allAreServed(clicks)
      await second.kill()
      await clicks.acknowledgeMore(CLICKS)
      await delay(AWAY_MS)
      await second.restart()
      await areBack()
      for (const manager of managers) await hasAllAgain(1, clicks, manager)
      await third.pause()
      await clicks.acknowledgeMore(CLICKS)
      third.resume()
      await areBack()
    },
  },
  {
    name: 'one stands still, and another one is killed as well: nobody is served until the first one goes on',
    codes: [...BUSY, 'LATCHKEY_LOCK_LOST', 'LATCHKEY_SESSION_GONE'],
    play: async ([first, second], clicks, { areBack }) => {
      await first.pause()
      await clicks.acknowledgeMore(CLICKS)
      await second.kill()
      await delay(OPTIONS.deadlineMs)
      const before = clicks.acknowledged
      await delay(OPTIONS.deadlineMs)
      expect(clicks.acknowledged).toBe(before)
      first.resume()
      await clicks.acknowledgeMore(CLICKS)
      await second.restart()
      await areBack()
    },
  },
]

describe('a hundred visitors', () => {
  it.each(TROUBLE)('$name', async ({ play, codes }) => {
    await using three = await ThreeNodes.start('direct')
    const clicks = new Clicks(VISITORS, THINK_MS)
    const told = await played({
      ...{ savePath: three.savePath, options: OPTIONS, clicks, atFirst: CLICKS, afterwards: (manager) => noLockIsLeft(clicks, manager) },
      play: async (scene) => {
        await play(three.nodes, clicks, scene)
        await allAreServed(clicks)
      },
    })
    expect(told.lost).toBe(0)
    for (const code of told.codes) expect(codes).toContain(code)
  })
})

describe('more processes than connections', () => {
  it('who finds no room is refused, or served by the nodes that have some; when others leave all are served', async () => {
    // Of the files that a node may open it needs some for itself: there is room for about fourteen connections. Of the 23 managers each wants
    // one to every node, at the least, and who is let in by only one of them is refused.
    await using three = await ThreeNodes.start('direct', () => ['-c', '30'])
    const [regulars, guests] = ['regular', 'guest'].map((name) => new Clicks(Array.from({ length: 8 }, (_id, at) => `${name}-${String(at)}`)))
    if (regulars === undefined || guests === undefined) return expect.fail()
    const common = { savePath: three.savePath, options: OPTIONS, clients: 3 }
    const told = await played({
      ...{ ...common, clicks: regulars, managers: 3, atFirst: CLICKS, afterwards: (manager) => noLockIsLeft(regulars, manager) },
      play: async ({ areBack }) => {
        const crowd = await played({
          ...{ ...common, clicks: guests, managers: 20, atFirst: 0 },
          play: async () => {
            await regulars.acknowledgeMore(CLICKS)
            await until('somebody is turned away', async () => guests.codes.size > 0)
            await regulars.acknowledgeMore(CLICKS)
          },
        })
        expect(crowd.lost).toBe(0)
        for (const code of crowd.codes) expect(BUSY).toContain(code)
        await areBack()
        await allAreServed(regulars)
      },
    })
    expect(told.lost).toBe(0)
    for (const code of told.codes) expect(BUSY).toContain(code)
    const turnedAway = await Promise.all(three.nodes.map((node) => node.stat('rejected_connections')))
    expect(Math.min(...turnedAway)).toBeGreaterThan(0)
  })
})

/** Answers whatever comes by the same thing, and to itself. */
async function babbler(answer: (socket: Socket) => void): Promise<{ readonly connect: () => Socket; readonly server: Server }> {
  const server = createServer((socket) => answer(socket.on('error', () => undefined))).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = address !== null && typeof address === 'object' ? address.port : 0
  return { server, connect: () => connect(port, '127.0.0.1') }
}

const HTTP = 'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'
const NONSENSE: readonly (readonly [string, (socket: Socket) => void])[] = [
  ['an echo', (socket) => void socket.pipe(socket)],
  ['a web server', (socket) => void socket.once('data', () => socket.end(HTTP))],
  ['END, whatever is asked', (socket) => void socket.on('data', () => socket.write('END\r\n'))],
  ['OK, whatever is asked', (socket) => void socket.on('data', (asked: Buffer) => socket.write('HD\r\n'.repeat(String(asked).split('\r\n').length)))],
  ['noise without end', (socket) => {
    const talk = setInterval(() => socket.write(Buffer.alloc(1000, 0xa5)), 1)
    socket.once('close', () => clearInterval(talk))
  }],
]

describe('one node answers nonsense', () => {
  it.each(NONSENSE)('%s: the two others serve', async (_name, answer) => {
    await using three = await ThreeNodes.start('direct')
    const [first, ...others] = three.nodes
    const { server, connect: connectToBabbler } = await babbler(answer)
    let isBabbling = false
    await using proxy = await FaultProxy.start({ connect: () => (isBabbling ? connectToBabbler() : first.connect()) })
    const savePath = `${[proxy, ...others].map(({ address }) => `tcp://${address}`).join(',')}?replicas=3`
    const clicks = new Clicks(VISITORS.slice(0, 30), 200)
    const told = await played({
      ...{ savePath, options: OPTIONS, clicks, atFirst: CLICKS, afterwards: (manager) => noLockIsLeft(clicks, manager) },
      play: async ({ areBack }) => {
        isBabbling = true
        proxy.cutAll('rst')
        await clicks.acknowledgeMore(2 * CLICKS)
        isBabbling = false
        proxy.cutAll('fin')
        await areBack()
        await allAreServed(clicks)
      },
    })
    server.close()
    expect(told.lost).toBe(0)
    for (const code of told.codes) expect(BUSY).toContain(code)
  })
})
