/**
 * PHP and Node on one session, whose lock and record are on two nodes, with lost, late and refused legs; from a seed.
 *
 * PHP is as php-memcached is: it adds its lock, writes blindly, and deletes blindly.
 */
import { LatchkeyError, SessionManager } from 'latchkey'
import { decodePhpSession, encodePhpSession } from 'latchkey/php'
import { SeededRandom, VirtualClock } from 'latchkey/testing'
import { legsOf, sendLegs } from '../../../src/wire/legs.js'
import { createMemoryWire } from '../../../src/wire/memory/memory-wire.js'
import { type Command, FlightError, type Receiver, type Reply, valueBytes, type Wire } from '../../../src/wire/wire.js'

const ID = 'sharedSession123456789012'
const RECORD = `memc.sess.key.${ID}`
const LOCK = `memc.sess.key.lock.${ID}`

/** Two nodes: locks on one, records on the other. */
class Town {
  readonly clock = new VirtualClock()
  private readonly nodes = [createMemoryWire({ clock: this.clock }), createMemoryWire({ clock: this.clock })] as const
  readonly random: SeededRandom

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
  }

  nodeOf(key: string): 0 | 1 {
    return key === RECORD ? 1 : 0
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.clock.setTimer(resolve, ms))
  }

  async one(command: Command): Promise<Reply> {
    const [reply] = await this.nodes[this.nodeOf(command.key)].flight('', [command])
    if (reply === undefined) throw new Error('no reply')
    return reply
  }

  /** @param trouble the share of a leg's fates that are not plain success. */
  wire(trouble = 0.09): Wire {
    const send = (_route: string, commands: readonly Command[], receiver: Receiver): void =>
      sendLegs(legsOf(commands, this.nodeOf), (leg, told) => void this.deliver(leg.node === 0 ? 0 : 1, leg.commands, told, trouble), receiver)
    return {
      send,
      flight: (route, commands) => new Promise((landed, failed) => send(route, commands, { landed, failed })),
      maxValueBytes: () => 1_000_000,
      sweep: () => 0,
      close: () => Promise.resolve(),
    }
  }

  private async deliver(node: 0 | 1, commands: readonly Command[], told: Receiver, trouble: number): Promise<void> {
    const drawn = this.random.fraction() / trouble
    await this.pause(0.1 + this.random.fraction() * 3)
    if (drawn < 1 / 3) return told.failed(new FlightError('not-sent', 'refused'))
    if (drawn < 2 / 3) {
      const late = this.pause(20 + this.random.fraction() * 200).then(() => this.nodes[node].flight('', commands))
      late.catch(() => undefined)
      return told.failed(new FlightError('unknown', 'no answer'))
    }
    const replies = await this.nodes[node].flight('', commands)
    await this.pause(0.1 + this.random.fraction() * 3)
    if (drawn < 1) told.failed(new FlightError('unknown', 'the answer was lost'))
    else told.landed(replies)
  }

  async ops(): Promise<string[]> {
    const { value } = await this.one({ op: 'get', key: RECORD })
    const { ops } = decodePhpSession(valueBytes(value ?? ''), 'php')
    return typeof ops === 'string' && ops !== '' ? ops.split(',') : []
  }

  store(ops: readonly string[]): Promise<Reply> {
    return this.one({ op: 'set', key: RECORD, value: encodePhpSession({ ops: ops.join(',') }, 'php'), ttlSec: 1440 })
  }
}

/** As php-memcached: adds the lock, reads, and then writes blindly, or only prolongs, and deletes the lock blindly. */
async function playPhp(town: Town, name: string, requests: number): Promise<string[]> {
  const done: string[] = []
  for (let request = 0; request < requests; request++) {
    await town.pause(town.random.fraction() * 100)
    while ((await town.one({ op: 'add', key: LOCK, value: '1', ttlSec: 30 })).status !== 'ok') await town.pause(2 + town.random.fraction() * 18)
    const ops = await town.ops()
    await town.pause(town.random.fraction() * 20)
    if (town.random.fraction() < 0.3) await town.one({ op: 'touch', key: RECORD, ttlSec: 1440 })
    else {
      const op = `${name}${String(request)}`
      await town.store([...ops, op])
      done.push(op)
    }
    await town.one({ op: 'delete', key: LOCK })
  }
  return done
}

/** What Node was told of its requests. */
interface Told {
  readonly acknowledged: string[]
  readonly refused: string[]
  /** What was read by a request that then destroyed the session. */
  readonly destroyed: string[]
}

async function playNode(town: Town, manager: SessionManager, name: string, { acknowledged, refused, destroyed }: Told): Promise<void> {
  await town.pause(town.random.fraction() * 150)
  const isLogout = town.random.fraction() < 0.15
  try {
    await manager.run<{ ops: string }>(ID, async (session) => {
      const ops = session.data.ops ?? ''
      await town.pause(town.random.fraction() * 20)
      if (isLogout) {
        destroyed.push(...ops.split(','))
        return session.destroy()
      }
      session.data.ops = ops === '' ? name : `${ops},${name}`
    })
    if (!isLogout) acknowledged.push(name)
  } catch (error) {
    if (!(error instanceof LatchkeyError)) throw error
    if (error.code !== 'LATCHKEY_OUTCOME_UNKNOWN') refused.push(name)
  }
}

/**
 * What was acknowledged stays, once, and what was refused is not there.
 *
 * @returns what is wrong with that; undefined: nothing.
 */
export async function play(seed: number): Promise<string | undefined> {
  const town = new Town(seed)
  const php = { extension: 'memcached', standBackMs: 20 } as const
  const { clock, random } = town
  const managers = [0, 1].map(() => new SessionManager({ wire: town.wire(), clock, random: random.fork(), php, deadlineMs: 300 }))
  const told: Told = { acknowledged: [], refused: [], destroyed: [] }
  await town.clock.runUntil(town.store([]))
  const nodes = managers.flatMap((manager, place) => Array.from({ length: 6 }, (_, index) => playNode(town, manager, `n${String(place)}${String(index)}`, told)))
  const phps = ['p', 'q'].map((name) => playPhp(town, name, 4))
  const theirs = await town.clock.runUntil(Promise.all([...phps, ...nodes.map((one) => one.then((): string[] => []))]))
  // What was given up may still be carried out.
  await town.clock.runUntil(town.pause(500))
  const ops = await town.clock.runUntil(town.ops())
  await town.clock.runUntil(Promise.all(managers.map((manager) => manager.close({ graceMs: 0 }))))
  const lost = [...told.acknowledged, ...theirs.flat()].filter((op) => !ops.includes(op) && !told.destroyed.includes(op))
  const there = told.refused.filter((op) => ops.includes(op))
  if (lost.length === 0 && there.length === 0 && new Set(ops).size === ops.length) return undefined
  return `seed ${String(seed)}: stored ${ops.join(',')}; acknowledged and lost: ${lost.join(',')}; refused and there: ${there.join(',')}`
}

const CROWD_MS = 5000
const LEAST_TURNS = 10
const LEAST_SHARE = 0.25

/**
 * Eight requests of Node at a time, one after the other for five seconds, and one PHP with its default pause: it has turns.
 *
 * @returns how few, if they are too few.
 */
export async function playCrowd(seed: number): Promise<string | undefined> {
  const town = new Town(seed)
  const { clock, random } = town
  const manager = new SessionManager({ wire: town.wire(0), clock, random: random.fork(), php: { extension: 'memcached' } })
  await clock.runUntil(town.store([]))
  const endMs = clock.nowMs() + CROWD_MS
  const crowd = Array.from({ length: 8 }, async () => {
    while (clock.nowMs() < endMs) await manager.run(ID, () => town.pause(5))
  })
  let turns = 0
  const other = async (): Promise<void> => {
    while (clock.nowMs() < endMs) {
      if ((await town.one({ op: 'add', key: LOCK, value: '1', ttlSec: 30 })).status === 'ok') {
        turns++
        await town.pause(5)
        await town.one({ op: 'delete', key: LOCK })
      }
      await town.pause(150)
    }
  }
  await clock.runUntil(Promise.all([...crowd, other()]))
  await clock.runUntil(manager.close({ graceMs: 0 }))
  return turns < LEAST_TURNS ? `seed ${String(seed)}: PHP had ${String(turns)} turns` : undefined
}

/**
 * Three processes of Node with one request at a time, and three of PHP with its default pauses, without an end: none of Node's
 * keeps the session for a turn, and yet they have one together.
 *
 * @returns how few turns one side had, if they are too few.
 */
export async function playShares(seed: number): Promise<string | undefined> {
  const town = new Town(seed)
  const { clock, random } = town
  const managers = [0, 1, 2].map(() => new SessionManager({ wire: town.wire(0), clock, random: random.fork(), php: { extension: 'memcached' } }))
  await clock.runUntil(town.store([]))
  const endMs = clock.nowMs() + CROWD_MS
  let [ours, theirs] = [0, 0]
  const nodes = managers.map(async (manager) => {
    for (; clock.nowMs() < endMs; ours++) await manager.run(ID, () => town.pause(5))
  })
  const phps = [0, 1, 2].map(async () => {
    for (; clock.nowMs() < endMs; theirs++) {
      while ((await town.one({ op: 'add', key: LOCK, value: '1', ttlSec: 30 })).status !== 'ok') await town.pause(150)
      await town.pause(5)
      await town.store([])
      await town.one({ op: 'delete', key: LOCK })
      await town.pause(1)
    }
  })
  await clock.runUntil(Promise.all([...nodes, ...phps]))
  await clock.runUntil(Promise.all(managers.map((manager) => manager.close({ graceMs: 0 }))))
  return Math.min(ours, theirs) < LEAST_SHARE * (ours + theirs) ? `seed ${String(seed)}: Node had ${String(ours)} turns, PHP ${String(theirs)}` : undefined
}
