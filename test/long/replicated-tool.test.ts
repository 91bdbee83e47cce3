/** The tool on three memcached of which one stands still, or two are gone: what it says, how it ends, and that ctrl-C ends it at once. */
import { setTimeout as delay } from 'node:timers/promises'
import { SessionManager } from 'latchkey'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { buildTool, jsonOf, type Outcome, type Spawned, spawnTool } from '../cli/tool.js'
import { bringToAll } from '../support/bring-to-all.js'
import { heldOnAll } from '../support/held-on-all.js'
import { keysOnNode } from '../support/keys-of.js'
import { ThreeNodes } from '../support/pipes.js'
import { until } from '../support/until.js'

/** What a process of its own waits for here at the most: a busy machine takes its time. */
const PATIENT = ['--deadline-ms', '20000']
/** Nothing is over by then, where a node does not answer. */
const VERY_PATIENT = ['--deadline-ms', '60000']
const AT_ONCE_MS = 20_000
const IDS = ['ada', 'bob', 'cyd']
const NODES = [0, 1, 2]

let tool: string
let three: ThreeNodes
let manager: SessionManager
let kept: string

/** What is on each of these nodes. */
async function keysOn(nodes: readonly number[]): Promise<string> {
  return JSON.stringify(await Promise.all(nodes.map(async (node) => (await keysOnNode(manager, node, '')).sort())))
}

beforeEach(async () => {
  tool = await buildTool()
  three = await ThreeNodes.start('direct')
  // The lock that is held is as it was when it is looked at again: it is not renewed meanwhile.
  manager = new SessionManager({ savePath: three.savePath, deadlineMs: 30_000, leaseSec: 300, maxHoldMs: 300_000 })
  for (const id of IDS) await manager.run(id, ({ data }) => void (data['n'] = 1))
  await bringToAll(manager)
  await heldOnAll(manager, 'held', three.nodes, 'sess:held-lck')
  // Locks that a late node has not heard the end of are taken off there.
  await until('all nodes have the same', async () => new Set(await Promise.all(NODES.map((node) => keysOn([node])))).size === 1)
  kept = await keysOn(NODES)
})

afterEach(async () => {
  await manager.close({ graceMs: 0 })
  await three[Symbol.asyncDispose]()
})

/** What was sent to it while it stood still is carried out now. */
async function goesOn(): Promise<void> {
  three.nodes[0].resume()
  let now = ''
  await until('all nodes have what they had', async () => (now = await keysOn(NODES)) === kept).catch(() => undefined)
  expect(now).toBe(kept)
}

const spawn = (...args: readonly string[]): Spawned => spawnTool(tool, args, { LATCHKEY_SAVE_PATH: three.savePath })
const told = (...args: readonly string[]): Promise<Outcome> => spawn(...args).ended

const SILENT = { unreached: expect.stringContaining('no answer') as string }

describe('a node stands still', () => {
  beforeEach(() => three.nodes[0].pause())

  it('what the others know is told, and which one is silent; nothing is left anywhere when it goes on', async () => {
    const [locks, holder, inspected, stats, counted] = await Promise.all([
      told('locks', ...PATIENT),
      told('holder', 'held', ...PATIENT),
      told('inspect', 'ada', ...PATIENT),
      told('stats', ...PATIENT),
      told('stats', '--count', ...PATIENT),
    ])
    // These two lock what they look at, so each has the nodes to itself: a lock of theirs would be counted above.
    const examined = await told('doctor', ...PATIENT)
    const repaired = await told('repair', ...PATIENT)
    expect([locks.exitCode, jsonOf(locks)]).toMatchObject([0, { locks: [{ label: 'GET /' }] }])
    expect([holder.exitCode, jsonOf(holder)]).toMatchObject([0, { held: true, label: 'GET /' }])
    expect([inspected.exitCode, jsonOf(inspected)]).toMatchObject([0, { state: 'stored', isLocked: false }])
    expect([stats.exitCode, jsonOf(stats)]).toMatchObject([3, { servers: [SILENT, { version: expect.any(String) as string }, {}] }])
    expect([counted.exitCode, jsonOf(counted)]).toMatchObject([3, { servers: [SILENT, { counted: { locks: 1 } }, { counted: { locks: 1 } }] }])
    expect([examined.exitCode, jsonOf(examined)]).toMatchObject([3, { ok: false, servers: [{ findings: [{ code: 'unreachable' }] }, { trialMs: expect.any(Number) as number }, {}] }])
    expect([repaired.exitCode, jsonOf(repaired)]).toMatchObject([3, { failed: 0, servers: [{ is: 'away' }, { is: 'whole' }, { is: 'whole' }] }])
    await goesOn()
  })

  it.each([[['locks']], [['stats']], [['stats', '--count']], [['doctor']]])('ctrl-C amid %j ends it at once with 130, and nothing is left', async (args) => {
    const outcome = await interrupted([...args, ...VERY_PATIENT])
    expect(outcome).toMatchObject({ exitCode: 130, out: '', err: expect.stringContaining('INTERRUPTED') as string })
  })

  it('ctrl-C amid repair ends it behind what it has begun, and nothing is left', async () => {
    expect(await interrupted(['repair', ...PATIENT])).toMatchObject({ exitCode: 130, out: '' })
  })

  async function interrupted(args: readonly string[]): Promise<Outcome> {
    const [, second] = three.nodes
    const before = await second.stat('total_connections')
    const { child, ended } = spawn(...args)
    let looks = 0
    // It asks the second one, and the first one before that or at once. Each look is a connection, too.
    await until('it asks a node', async () => (await second.stat('total_connections')) - ++looks > before || child.exitCode !== null)
    child.kill('SIGINT')
    const outcome = await Promise.race([ended, delay(AT_ONCE_MS).then(() => expect.fail('it does not end'))])
    await goesOn()
    return outcome
  }
})

describe('two nodes are gone', () => {
  beforeEach(() => Promise.all([three.nodes[0].kill(), three.nodes[1].kill()]))

  it.each([[['locks']], [['holder', 'held']], [['inspect', 'ada']], [['unlock', 'held', '--yes']]])('%j says that too few answer: exit code 3', async (args) => {
    const outcome = await told(...args, ...PATIENT)
    expect(outcome).toMatchObject({ exitCode: 3, out: '' })
    expect(JSON.parse(outcome.err)).toMatchObject({ error: { code: 'LATCHKEY_SERVER_UNAVAILABLE', message: expect.stringContaining('ECONNREFUSED') as string } })
  })

  it('stats, doctor and repair say which ones: exit code 3', async () => {
    const stats = await told('stats', '--count', ...PATIENT)
    const examined = await told('doctor', ...PATIENT)
    const repaired = await told('repair', ...PATIENT)
    const gone = { unreached: expect.stringContaining('ECONNREFUSED') as string }
    expect([stats.exitCode, jsonOf(stats)]).toMatchObject([3, { servers: [gone, gone, { counted: { sessions: 3, locks: 1 } }] }])
    const unreachable = { findings: [{ code: 'unreachable' }] }
    expect([examined.exitCode, jsonOf(examined)]).toMatchObject([3, { ok: false, servers: [unreachable, unreachable, { version: expect.any(String) as string }] }])
    expect([repaired.exitCode, jsonOf(repaired)]).toMatchObject([3, { repaired: 0, servers: [{ is: 'away' }, { is: 'away' }, { is: 'whole' }] }])
  })
})
