/**
 * Three nodes, and a fourth one that may take the place of one of them, in virtual time: for the stories that drawn runs meet once in
 * ten thousand, or never.
 */
import { isAdvice, isOfProcesses, markKeyOf } from '../../../src/lock/protocol/key-layout.js'
import type { Repaired } from '../../../src/session/repaired.js'
import { cycleByFlights } from '../../../src/wire/cycle.js'
import { createMemoryWire } from '../../../src/wire/memory/memory-wire.js'
import { createReplicatedWire } from '../../../src/wire/replicated/replicated-wire.js'
import { type Command, FlightError, type Wire } from '../../../src/wire/wire.js'
import { LatchkeyError, SessionManager } from 'latchkey'
import { keysOf } from '../../support/keys-of.js'
import { repairUnwatched } from '../../support/repair-unwatched.js'
import { SeededRandom, VirtualClock } from 'latchkey/testing'

const PREFIX = 'sess:'
const ID = 'sid'
export const RECORD = `${PREFIX}${ID}`
export const LOCK = `${RECORD}-lck`
export const MARK = markKeyOf(PREFIX)
export const LEASE_SEC = 2

/** Which nodes keep the session by it. */
export interface List {
  readonly name: string
  readonly places: readonly number[]
  /** A node that is on it too, and keeps other sessions. */
  readonly spare?: number
}

export const OLD: List = { name: 'old', places: [0, 1, 2] }
export const NEW: List = { name: 'new', places: [0, 1, 3] }

/** What a process goes by: a list, and the one that is being changed into it. */
export interface Path {
  readonly list: List
  readonly before?: List
}

export const OLD_ONLY: Path = { list: OLD }
export const NEW_ONLY: Path = { list: NEW }
export const BOTH: Path = { list: NEW, before: OLD }

/** Tells what its process lost; undefined: nothing. */
export type Story = () => Promise<string | undefined>

/** What each request adds its name to. */
interface Cart {
  names: string[]
}

/** Called before a node carries out a flight of the process, and before it lists its keys (no commands). What it throws is thrown there. */
export type Before = (node: number, commands: readonly Command[]) => void | Promise<void>

export class SmallWorld {
  readonly clock = new VirtualClock()
  private readonly stores = [0, 1, 2, 3].map(() => createMemoryWire({ clock: this.clock }))
  private processes = 0

  /** @param leaseSec of all processes. */
  constructor(private readonly leaseSec = LEASE_SEC) {}

  process({ list, before: old }: Path, before: Before = () => undefined): Visitor {
    const { clock } = this
    const random = new SeededRandom(++this.processes)
    const nodesOf = ({ places, spare }: List): readonly number[] => (spare === undefined ? places : [...places, spare])
    const named = [...new Set([...nodesOf(old ?? list), ...nodesOf(list)])]
    const at = ({ places }: List): number[] => places.map((place) => named.indexOf(place))
    const has = (one: List) => (node: number) => nodesOf(one).some((place) => named.indexOf(place) === node)
    const wire = createReplicatedWire({
      places: named.map((node) => ({ name: `n${String(node)}`, wire: this.wireTo(node, before), keyPrefix: '' })),
      ...{ replicas: 3, list: list.name, ranked: () => at(list), has: has(list), markKey: MARK, clock, random, flightMs: 700 },
      before: old && { list: old.name, ranked: () => at(old), has: has(old) },
      kindOf: (key) => (isAdvice(key) ? 'advice' : isOfProcesses(key) ? 'lock' : 'record'),
    })
    return new Visitor(new SessionManager({ wire, clock, random, prefix: PREFIX, leaseSec: this.leaseSec, deadlineMs: 2100 }))
  }

  private wireTo(node: number, before: Before): Wire {
    const store = this.at(node)
    const flight: Wire['flight'] = async (route, commands) => {
      await before(node, commands)
      return store.flight(route, commands)
    }
    return Object.assign<Wire, Pick<Wire, 'keys'>>(
      {
        flight,
        // What goes well goes the straight way, as on servers.
        startCycle: (route, start) =>
          cycleByFlights((commands, receiver) => {
            flight(route, commands).then((replies) => receiver.landed(replies), (error: unknown) => receiver.failed(error))
          }, start),
        maxValueBytes: (route, key) => store.maxValueBytes(route, key),
        sweep: () => 0,
        close: () => Promise.resolve(),
      },
      {
        async *keys(prefix) {
          await before(node, [])
          yield* store.keys(prefix)
        },
      },
    )
  }

  private at(node: number): (typeof this.stores)[number] {
    const store = this.stores[node]
    if (store === undefined) throw new RangeError('no such node')
    return store
  }

  async evict(key: string, ...nodes: readonly number[]): Promise<void> {
    for (const node of nodes) await this.at(node).flight('', [{ op: 'delete', key }])
  }

  /** As another process's, which asked for it in vain. */
  async lock(node: number): Promise<void> {
    await this.at(node).flight('', [{ op: 'add', key: LOCK, value: 'of another one', ttlSec: LEASE_SEC }])
  }

  async carryOut(node: number, commands: readonly Command[]): Promise<void> {
    await this.at(node).flight('', commands)
  }

  /** It has lost all it had, as after a restart. */
  async empty(node: number): Promise<void> {
    for (const key of await keysOf(this.at(node), PREFIX)) await this.evict(key, node)
  }

  /** Lets time pass until it is done. */
  during<Result>(work: Promise<Result>): Promise<Result> {
    return this.clock.runUntil(work)
  }

  pause(ms: number): Promise<void> {
    return this.during(new Promise((resolve) => void this.clock.setTimer(resolve, ms)))
  }
}

/** One process, at one session. */
export class Visitor {
  constructor(private readonly manager: SessionManager) {}

  /** @returns whether it was acknowledged. */
  async add(name: string): Promise<boolean> {
    const leave = await this.hold(name)
    return leave === undefined ? false : leave()
  }

  /**
   * @param how it is left: stored and let go of at once, or one after the other.
   * @returns what leaves the session, and tells whether it was stored; undefined: it was not to be had.
   */
  async hold(name: string, how: 'release' | 'save' = 'release'): Promise<(() => Promise<boolean>) | undefined> {
    const session = await this.manager.start<Partial<Cart>>(ID).catch(ifRefused)
    if (session === undefined) return undefined
    session.data.names = [...(session.data.names ?? []), name]
    return async () => {
      const isStored = await session[how]().then(() => true, (error: unknown) => ifRefused(error) ?? false)
      await session.abort()
      return isStored
    }
  }

  destroy(): Promise<void> {
    return this.manager.destroy(ID)
  }

  /** @returns undefined: it refuses to say. */
  async names(): Promise<readonly string[] | undefined> {
    return this.manager.peek<Partial<Cart>>(ID).then((found) => found?.names ?? [], ifRefused)
  }

  repair(): Promise<Repaired> {
    return repairUnwatched(this.manager.engine, 600)
  }
}

function ifRefused(error: unknown): undefined {
  if (error instanceof LatchkeyError && error.code !== 'LATCHKEY_MISUSE') return undefined
  throw error
}

/** Begins a session that all nodes of the old list have. */
export async function begun(world: SmallWorld): Promise<Visitor> {
  const visitor = world.process(OLD_ONLY)
  await world.during(visitor.add('first'))
  return visitor
}

/** From here on the nodes are in use, and have nothing of the session. */
export async function forgotten(world: SmallWorld, visitor = world.process(OLD_ONLY)): Promise<void> {
  await world.during(visitor.destroy())
  await world.evict(RECORD, 0, 1, 2)
}

/** @param away may change. */
export const without =
  (away: readonly number[]): Before =>
    (node) => {
      if (away.includes(node)) throw new FlightError('not-sent', 'it is away')
    }

export const awayFor = (...nodes: readonly number[]): Before => without(nodes)

/** What is wrong with that; undefined: nothing. To refuse is all that can be done where nobody who is there knows. */
export function lossIn(found: readonly string[] | undefined, acknowledged: readonly string[]): string | undefined {
  const missing = acknowledged.filter((name) => found?.includes(name) === false)
  return missing.length === 0 ? undefined : `${missing.join(' ')} acknowledged, and found ${JSON.stringify(found)}`
}
