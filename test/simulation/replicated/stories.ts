/**
 * Stories of sessions on several nodes that drawn runs meet seldom or never, each with the rule that it shows: with the mutant of its name
 * something is lost, or not to be had. `npm run simulate -- --replicated` plays them as they are, and with their mutants.
 */
import { type Command, FlightError } from '../../../src/wire/wire.js'
import { storiesOfChange } from './change-stories.js'
import { storiesOfLocks } from './lock-stories.js'
import { awayFor, begun, forgotten, LEASE_SEC, LOCK, lossIn, OLD_ONLY, RECORD, SmallWorld, type Story, type Visitor, without } from './small-world.js'

const storesRecord = (commands: readonly Command[]): boolean => commands.some(({ op, key }) => key === RECORD && op !== 'get')

/**
 * A write that one node carries out long after the session was changed again, and after it has evicted it. With a second node that the
 * change did not reach it would make a majority that knows an old session.
 */
async function addsRecords(): Promise<string | undefined> {
  const world = new SmallWorld()
  const late: (readonly Command[])[] = []
  await world.during(world.process(OLD_ONLY).destroy())
  await world.pause(1000 * LEASE_SEC)
  await world.evict(RECORD, 0, 1, 2)
  const delayed = world.process(OLD_ONLY, (node, commands) => {
    if (node !== 1 || !storesRecord(commands)) return
    late.push(commands)
    throw new FlightError('unknown', 'it did not answer in time')
  })
  await world.during(delayed.add('first'))
  // What was left on a node is gone after its lease.
  await world.pause(1000 * LEASE_SEC)
  const asleep = world.process(OLD_ONLY, (node, commands) => {
    if (node === 2 && storesRecord(commands)) throw new FlightError('not-sent', 'it is away')
  })
  await world.during(asleep.add('second'))
  await world.pause(1000 * LEASE_SEC)
  await world.evict(RECORD, 1)
  for (const commands of late) await world.carryOut(1, commands)
  if (late.length === 0) return 'nothing was late'
  return lossIn(await world.during(world.process(OLD_ONLY, awayFor(0)).names()), ['first', 'second'])
}

/**
 * Who holds the session was granted its lock by two nodes, and stores on the third one as well. There the next holder has read it by then,
 * whose copy counts as newer.
 */
async function writesElsewhere(): Promise<string | undefined> {
  const world = new SmallWorld()
  await begun(world)
  await world.lock(2)
  const away: number[] = []
  const store = await world.during(world.process(OLD_ONLY, without(away)).hold('second'))
  await world.evict(LOCK, 0, 2)
  const storeNext = await world.during(world.process(OLD_ONLY, awayFor(1)).hold('third'))
  if (store === undefined || storeNext === undefined) return 'it was not to be had'
  away.push(0)
  const acknowledged = (await world.during(store())) ? ['first', 'second'] : ['first']
  await world.during(storeNext())
  return lossIn(await world.during(world.process(OLD_ONLY, awayFor(2)).names()), acknowledged)
}

/** A repair has locked a destroyed session, to put its tombstone where it is missing. The lock is evicted, and the session begins anew. */
async function repairDestroys(): Promise<string | undefined> {
  const world = new SmallWorld()
  const visitor = await begun(world)
  await world.during(visitor.destroy())
  await world.evict(RECORD, 2)
  let isLocked = false
  let began: Promise<boolean> | undefined
  const operator = world.process(OLD_ONLY, async (_node, commands) => {
    const takes = commands.some(({ op, key }) => op === 'add' && key === LOCK)
    if (isLocked && storesRecord(commands)) {
      began ??= world.evict(LOCK, 0, 1, 2).then(() => visitor.add('second'))
      await began
    }
    isLocked ||= takes
  })
  await world.during(operator.repair())
  if ((await began) !== true) return 'it did not begin anew'
  return lossIn(await world.during(visitor.names()), ['second'])
}

/** Holds a session that is new, on the two nodes that are left. It has stored before, so that where nothing else decides its copy is the later one. */
async function holdsNew(world: SmallWorld, holder: Visitor, away: number[], gone: number): ReturnType<Visitor['hold']> {
  await world.during(holder.add('first'))
  await forgotten(world, holder)
  away.push(gone)
  return world.during(holder.hold('second'))
}

/**
 * Who holds a new session has its lock on two nodes, one of which is emptied and repaired. Two nodes without that lock then serve another one.
 * The first one's copy, stored late on one node, has no node in common with the other one's by which it would be told which is newer.
 */
async function repairOverlooksLocks(): Promise<string | undefined> {
  const world = new SmallWorld()
  const away: number[] = []
  const holder = world.process(OLD_ONLY, without(away))
  const store = await holdsNew(world, holder, away, 0)
  if (store === undefined) return 'it was not to be had'
  await world.empty(1)
  const repairing = world.process(OLD_ONLY).repair()
  // Before the holder's next renewal, by which he would learn of it.
  await world.pause(300)
  const acknowledged = (await world.during(world.process(OLD_ONLY, awayFor(2)).add('third'))) ? ['third'] : []
  await world.during(store())
  await world.during(repairing)
  return lossIn(await world.during(world.process(OLD_ONLY, awayFor(0)).names()), acknowledged)
}

/**
 * A request that has begun a session is late to store it: its lock has ended, one of its two nodes was emptied and repaired, and others have
 * begun the session on that one and the third. What it then stores on its other node has no node in common with theirs.
 *
 * @param isLate the flight to the first node that comes when all that is over.
 */
async function beginsTwice(isLate: (commands: readonly Command[]) => boolean): Promise<string | undefined> {
  const world = new SmallWorld()
  let goOn = (): void => undefined
  const over = new Promise<void>((resolve) => (goOn = resolve))
  const away: number[] = []
  const holder = world.process(OLD_ONLY, async (node, commands) => {
    await without(away)(node, commands)
    if (away.length > 0 && isLate(commands)) await over
  })
  const store = await holdsNew(world, holder, away, 2)
  if (store === undefined) return 'it was not to be had'
  away.push(1)
  const storing = store()
  await world.pause(1000 * LEASE_SEC)
  await world.empty(1)
  const { obstacle } = await world.during(world.process(OLD_ONLY).repair())
  if (obstacle !== undefined) return `it was not repaired: ${obstacle}`
  const acknowledged = (await world.during(world.process(OLD_ONLY, awayFor(0)).add('third'))) ? ['third'] : []
  goOn()
  await world.during(storing)
  return lossIn(await world.during(world.process(OLD_ONLY, awayFor(2)).names()), acknowledged)
}

/** No place stood on the node when it was repaired, nor a lock. */
const reservesBlindly = (): Promise<string | undefined> => beginsTwice((commands) => commands.some(({ op, key }) => key === RECORD && op === 'add'))

/** The place that it made in time stood there. */
const repairLeavesPlaces = (): Promise<string | undefined> => beginsTwice((commands) => commands.some(({ op, key }) => key === RECORD && op === 'cas'))

/** A write that one node has taken, and its lock with it; the others have not. With that node away there is nothing of it. */
async function straightOneIsEnough(): Promise<string | undefined> {
  const world = new SmallWorld()
  await begun(world)
  const leaving = world.process(OLD_ONLY, async (node, commands) => {
    if (node === 0 || !storesRecord(commands)) return
    // Behind the answer of the first node.
    await new Promise<void>((resolve) => void world.clock.setTimer(resolve, 10))
    throw new FlightError('unknown', 'it did not answer in time')
  })
  const acknowledged = (await world.during(leaving.add('second'))) ? ['first', 'second'] : ['first']
  // The lock that the others keep of it ends.
  await world.pause(1000 * LEASE_SEC)
  return lossIn(await world.during(world.process(OLD_ONLY, awayFor(0)).names()), acknowledged)
}

/**
 * Two of three nodes have a session. One of them is emptied, and repaired, and the other one goes away before its keys are listed: nobody who
 * is listed knows of the session. Called whole, the emptied one would say with the third that there is none.
 */
async function repairsUnheard(): Promise<string | undefined> {
  const world = new SmallWorld()
  await forgotten(world)
  if (!(await world.during(world.process(OLD_ONLY, awayFor(2)).add('first')))) return 'it was not stored'
  await world.empty(1)
  const operator = world.process(OLD_ONLY, (node, commands) => {
    const isListed = commands.length === 0
    if (isListed) awayFor(0)(node, commands)
  })
  await world.during(operator.repair())
  return lossIn(await world.during(world.process(OLD_ONLY, awayFor(0)).names()), ['first'])
}

/**
 * What two of three nodes had taken is on one of them alone: the other one has evicted it. A repair looks at the session just when only that
 * one answers. Were the session the same on all nodes, that one could be restarted.
 */
async function repairSeesOne(): Promise<string | undefined> {
  const world = new SmallWorld()
  await begun(world)
  if (!(await world.during(world.process(OLD_ONLY, awayFor(2)).add('second')))) return 'it was not stored'
  await world.evict(RECORD, 1)
  // Before the session is locked, and then.
  let looks = 2
  const operator = world.process(OLD_ONLY, (node, commands) => {
    if (looks === 0 || node === 0 || !commands.every(({ op }) => op === 'get') || !commands.some(({ key }) => key === RECORD)) return
    if (node === 2) looks--
    throw new FlightError('unknown', 'it did not answer')
  })
  const { obstacle } = await world.during(operator.repair())
  if (obstacle !== undefined) return `it was not repaired: ${obstacle}`
  await world.empty(0)
  return lossIn(await world.during(world.process(OLD_ONLY).names()), ['first', 'second'])
}

/**
 * A session is stored on two nodes, and then again on the third one and one of those, which counts its versions far behind the node that misses
 * that. Compared with each other's versions the first copy is the later one.
 */
async function oneNameForAll(): Promise<string | undefined> {
  const world = new SmallWorld()
  await begun(world)
  for (const [node, times] of [[0, 200], [2, 100]] as const) {
    for (let left = times; left > 0; left--) await world.carryOut(node, [{ op: 'set', key: 'other', value: '', ttlSec: 60 }])
  }
  if (!(await world.during(world.process(OLD_ONLY, awayFor(1)).add('second')))) return 'it was not stored'
  if (!(await world.during(world.process(OLD_ONLY, awayFor(0)).add('third')))) return 'it was not stored again'
  return lossIn(await world.during(world.process(OLD_ONLY, awayFor(1)).names()), ['first', 'second', 'third'])
}

/**
 * A request is granted its lock by two nodes, and late by the third one: meanwhile the session was destroyed, under locks that were taken from it.
 * What it then stores is on the third node alone. There its lock was the later one, and on the two others the tombstone's.
 */
async function unacknowledgedWins(): Promise<string | undefined> {
  const world = new SmallWorld()
  let goOn = (): void => undefined
  const isOver = new Promise<void>((resolve) => (goOn = resolve))
  let isLate = false
  const holder = world.process(OLD_ONLY, async (node, commands) => {
    if (isLate && node === 0 && commands.some(({ op, key }) => op === 'add' && key === LOCK)) await isOver
  })
  if (!(await world.during(holder.add('first')))) return 'it was not stored'
  await world.evict(RECORD, 0)
  isLate = true
  const holding = holder.hold('second')
  await world.pause(1)
  const other = world.process(OLD_ONLY, (node, commands) => {
    if (node === 0 && storesRecord(commands)) throw new FlightError('unknown', 'it did not answer in time')
  })
  await world.during(other.destroy())
  goOn()
  const store = await world.during(holding)
  if (store === undefined || (await world.during(store()))) return 'it was not refused'
  const found = await world.during(world.process(OLD_ONLY, awayFor(2)).names())
  return found === undefined || found.length === 0 ? undefined : `destroyed, and found ${JSON.stringify(found)}`
}

export const stories: Readonly<Record<string, Story>> = {
  ...{ addsRecords, writesElsewhere, straightOneIsEnough, oneNameForAll, unacknowledgedWins },
  ...{ repairDestroys, repairOverlooksLocks, repairsUnheard, repairSeesOne, reservesBlindly, repairLeavesPlaces },
  ...storiesOfChange,
  ...storiesOfLocks,
}
