/**
 * Stories of a lock that nobody has, and that stands until its lease ends (stories.ts): the session is not to be had meanwhile, or not with
 * another node away.
 */
import { type Command, FlightError } from '../../../src/wire/wire.js'
import { awayFor, type Before, begun, LOCK, OLD_ONLY, RECORD, SmallWorld, type Story, type Visitor } from './small-world.js'

/** Longer than anything that is waited for here. */
const LONG_LEASE_SEC = 300
/** By then, in milliseconds, such a lock has been looked for. */
const LOOKED_FOR_MS = 30_000

const UNANSWERED = new FlightError('unknown', 'it did not answer in time')

const sends = (commands: readonly Command[], op: Command['op']): boolean => commands.some((command) => command.op === op && command.key === LOCK)

interface Scene {
  /** The process in which it happens. */
  readonly before: (world: SmallWorld) => Before
  /** @returns whether it came about. */
  readonly play: (world: SmallWorld, visitor: Visitor) => Promise<boolean>
}

/** Whoever comes when all that is over is served by two of the nodes. */
async function leftBehind({ before, play }: Scene): Promise<string | undefined> {
  const world = new SmallWorld(LONG_LEASE_SEC)
  await begun(world)
  if (!(await play(world, world.process(OLD_ONLY, before(world))))) return 'it did not come about'
  await world.pause(LOOKED_FOR_MS)
  const isServed = await world.during(world.process(OLD_ONLY, awayFor(0)).add('last'))
  return isServed ? undefined : 'the session could not be had: a lock that nobody has stands there'
}

interface Handing {
  readonly how?: 'save'
  /** Before the first one leaves. */
  readonly meanwhile?: () => Promise<void>
}

/** Two requests of one process: the second one waits for the first, and has the session from it. */
async function handedOn(world: SmallWorld, visitor: Visitor, { how, meanwhile }: Handing = {}): Promise<boolean> {
  const leave = await world.during(visitor.hold('second', how))
  const next = visitor.hold('third')
  await world.pause(50)
  await meanwhile?.()
  if (leave === undefined) return false
  await world.during(leave())
  const leaveNext = await world.during(next)
  return leaveNext !== undefined && (await world.during(leaveNext()))
}

const standing =
  (still: ReadonlySet<number>): Before =>
    (node) => {
      if (still.has(node)) throw UNANSWERED
    }

/** A node does not answer from when the session is let go of, and for longer than it is looked for in turn. */
function looksInVain(): Promise<string | undefined> {
  const still = new Set<number>()
  return leftBehind({
    before: () => standing(still),
    play: async (world, visitor) => {
      const leave = await world.during(visitor.hold('second'))
      still.add(2)
      const isStored = leave !== undefined && (await world.during(leave()))
      await world.pause(11_000)
      still.delete(2)
      return isStored
    },
  })
}

/** A node is late to hand the lock on, and nobody counts on it there any more; what was to take it off is lost. */
function forgetsLate(): Promise<string | undefined> {
  let isLost = false
  return leftBehind({
    before: (world) => async (node, commands) => {
      if (node !== 2) return
      if (sends(commands, 'cas')) await new Promise<void>((resolve) => void world.clock.setTimer(resolve, 200))
      if (isLost || commands.length > 1 || !sends(commands, 'cad')) return
      isLost = true
      throw UNANSWERED
    },
    play: async (world, visitor) => {
      const isStored = await handedOn(world, visitor)
      await world.pause(500)
      return isStored && isLost
    },
  })
}

/**
 * Two nodes evict a lock, and the third one alone keeps it, by a write that comes to nothing. Who has the session next in that process would
 * take it over by the version before that write. Then that node stands still for longer than the process looks for a lock of its own.
 */
function keepsUnclear(): Promise<string | undefined> {
  const still = new Set<number>()
  return leftBehind({
    before: () => standing(still),
    play: async (world, visitor) => {
      const isStored = await handedOn(world, visitor, { how: 'save', meanwhile: () => world.evict(LOCK, 0, 1) })
      still.add(2)
      await world.pause(5000)
      still.delete(2)
      return isStored
    },
  })
}

/** A session that nobody has any more is saved in vain, where the lock is kept. */
function keepsRefused(): Promise<string | undefined> {
  return leftBehind({
    before: () => () => undefined,
    play: async (world, visitor) => {
      const leave = await world.during(visitor.hold('second', 'save'))
      await world.evict(RECORD, 0, 1, 2)
      return leave !== undefined && !(await world.during(leave()))
    },
  })
}

export const storiesOfLocks: Readonly<Record<string, Story>> = { looksInVain, forgetsLate, keepsUnclear, keepsRefused }
