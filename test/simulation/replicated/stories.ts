/**
 * Stories of sessions on several nodes that drawn runs meet seldom or never, each with the rule that it shows: with the mutant of its name
 * something is lost. `npm run simulate -- --replicated` plays them as they are, and with their mutants.
 */
import { type Command, FlightError } from '../../../src/wire/wire.js'
import { awayFor, BOTH, LEASE_SEC, LOCK, lossIn, MARK, NEW, OLD, RECORD, SmallWorld, type Visitor } from './small-world.js'

const OLD_ONLY = { list: OLD }
const NEW_ONLY = { list: NEW }

/** Begins a session that all nodes of the old list have. */
async function begun(world: SmallWorld): Promise<Visitor> {
  const visitor = world.process(OLD_ONLY)
  await world.during(visitor.add('first'))
  return visitor
}

const storesRecord = (commands: readonly Command[]): boolean => commands.some(({ op, key }) => key === RECORD && op !== 'get')
const marks = (commands: readonly Command[], listed: string): boolean =>
  commands.some((command) => command.op === 'cas' && command.key === MARK && command.value.toString().endsWith(` ${listed}`))

/** Tells what the story's process lost; undefined: nothing. */
type Story = () => Promise<string | undefined>

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
  const store = await world.during(world.process(OLD_ONLY, (node) => awayFor(...away)(node, [])).hold('second'))
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

/**
 * Who holds a new session has its lock on two nodes, one of which is emptied and repaired. Two nodes without that lock then serve another one.
 * The first one's copy, stored late on one node, has no node in common with the other one's by which it would be told which is newer.
 */
async function repairOverlooksLocks(): Promise<string | undefined> {
  const world = new SmallWorld()
  const away: number[] = []
  const holder = world.process(OLD_ONLY, (node) => awayFor(...away)(node, []))
  await world.during(holder.add('first'))
  await world.during(holder.destroy())
  await world.evict(RECORD, 0, 1, 2)
  away.push(0)
  const store = await world.during(holder.hold('second'))
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

/** While sessions are carried over one is stored by a majority of the old nodes of which the new list keeps one only. */
async function oneMajority(): Promise<string | undefined> {
  const world = new SmallWorld()
  await begun(world)
  let stored: Promise<boolean> | undefined
  const operator = world.process(BOTH, async (_node, commands) => {
    if (marks(commands, 'new')) await (stored ??= world.process(BOTH, awayFor(0, 3)).add('second'))
  })
  const { isChanged } = await world.during(operator.repair())
  return isChanged ? lossIn(await world.during(world.process(NEW_ONLY, awayFor(1)).names()), (await stored) === true ? ['first', 'second'] : ['first']) : 'the list was not changed'
}

/** The change has ended on one node. Who holds a session stores it where a majority of the old nodes takes it, and one of the new. */
async function oldDecidesTooLong(): Promise<string | undefined> {
  const world = new SmallWorld()
  await begun(world)
  const away = [3]
  let stored: Promise<boolean> | undefined
  const store = async (): Promise<boolean> => {
    const leave = await world.process(BOTH, (node) => awayFor(...away)(node, [])).hold('second')
    away.push(1)
    return leave === undefined ? false : leave()
  }
  const operator = world.process(BOTH, async (node, commands) => {
    if (node !== 0 && marks(commands, 'new')) await (stored ??= store())
  })
  const { isChanged } = await world.during(operator.repair())
  return isChanged ? lossIn(await world.during(world.process(NEW_ONLY, awayFor(0)).names()), (await stored) === true ? ['first', 'second'] : ['first']) : 'the list was not changed'
}

/** Two nodes of the new list have a change that the third one missed. One of them comes back empty, and the other one is away: to be refused. */
async function oldKnowsTooLong(): Promise<string | undefined> {
  const world = new SmallWorld()
  await begun(world)
  await world.during(world.process(BOTH).repair())
  const away = [2]
  const store = await world.during(world.process(BOTH, (node) => awayFor(...away)(node, [])).hold('second'))
  away.push(1)
  if (store === undefined || !(await world.during(store()))) return 'it was not stored'
  await world.empty(0)
  return lossIn(await world.during(world.process(BOTH, awayFor(3)).names()), ['first', 'second'])
}

/** The change has ended on one node, by which two of the new ones take a session alone. That node comes back empty, and nobody knows of the end. */
async function newDecidesTooEarly(): Promise<string | undefined> {
  const world = new SmallWorld()
  await begun(world)
  const operator = world.process(BOTH, (node, commands) => {
    if (node !== 0 && marks(commands, 'new')) throw new FlightError('not-sent', 'it is away')
  })
  await world.during(operator.repair())
  const acknowledged = (await world.during(world.process(BOTH, awayFor(1, 2)).add('second'))) ? ['first', 'second'] : ['first']
  await world.empty(0)
  return lossIn(await world.during(world.process(BOTH, awayFor(3)).names()), acknowledged)
}

/** Two nodes of the old list do not know that it is being changed. Who goes by that alone stores a session there that has been carried over. */
async function changeUnbegun(): Promise<string | undefined> {
  const world = new SmallWorld()
  await begun(world)
  let isBeginning = true
  let stored: Promise<boolean> | undefined
  const operator = world.process(BOTH, async (node, commands) => {
    isBeginning &&= commands.length > 0
    if (isBeginning && (node === 2 || (node === 1 && marks(commands, 'old>new')))) throw new FlightError('not-sent', 'it is away')
    if (marks(commands, 'new')) await (stored ??= world.process(OLD_ONLY, awayFor(0)).add('second'))
  })
  const { isChanged } = await world.during(operator.repair())
  if (!isChanged) await world.during(world.process(BOTH).repair())
  return lossIn(await world.during(world.process(NEW_ONLY, awayFor(1)).names()), (await stored) === true ? ['first', 'second'] : ['first'])
}

/** Who has begun a session by the old list, before the change, stores it behind its end: the session's lock stood there, and no record. */
async function changeOverlooksLocks(): Promise<string | undefined> {
  const world = new SmallWorld()
  await world.during(world.process(OLD_ONLY).destroy())
  await world.evict(RECORD, 0, 1, 2)
  return storedBehind(world)
}

/** As before: a node that joins has been on the list earlier, so that all nodes have the session as it was. */
async function changeTrustsItsEyes(): Promise<string | undefined> {
  const world = new SmallWorld()
  await world.during(world.process(NEW_ONLY).add('first'))
  await world.during(world.process({ list: OLD, before: NEW }).repair())
  return storedBehind(world)
}

async function storedBehind(world: SmallWorld): Promise<string | undefined> {
  const away: number[] = []
  const store = await world.during(world.process(OLD_ONLY, (node) => awayFor(...away)(node, [])).hold('second'))
  if (store === undefined) return 'it was not to be had'
  const changing = world.process(BOTH).repair()
  await world.pause(500)
  away.push(0)
  const acknowledged = (await world.during(store())) ? ['second'] : []
  const first = await world.during(changing)
  // A lock that one node keeps of it, for its lease, may have been in the way.
  await world.pause(1000 * LEASE_SEC)
  const { isChanged } = first.isChanged ? first : await world.during(world.process(BOTH).repair())
  return isChanged ? lossIn(await world.during(world.process(NEW_ONLY, awayFor(1)).names()), acknowledged) : 'the list was not changed'
}

export const stories: Readonly<Record<string, Story>> = {
  ...{ addsRecords, writesElsewhere, repairDestroys, repairOverlooksLocks, oneMajority, oldDecidesTooLong, oldKnowsTooLong, newDecidesTooEarly },
  ...{ changeUnbegun, changeOverlooksLocks, changeTrustsItsEyes },
}
