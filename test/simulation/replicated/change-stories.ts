/** Stories of a list that is changed meanwhile: one node takes the place of another (stories.ts). */
import { type Command, FlightError } from '../../../src/wire/wire.js'
import { awayFor, begun, BOTH, forgotten, LEASE_SEC, type List, lossIn, MARK, NEW, NEW_ONLY, OLD, OLD_ONLY, type Path, RECORD, SmallWorld, type Story, without } from './small-world.js'

const marks = (commands: readonly Command[], listed: string): boolean =>
  commands.some((command) => command.op === 'cas' && command.key === MARK && command.value.toString().endsWith(` ${listed}`))

/** All sessions have been carried over: a node is told so, or that the new list counts. */
const ends = (commands: readonly Command[]): boolean => marks(commands, 'old>>new') || marks(commands, 'new')

/** While sessions are carried over one is stored by a majority of the old nodes of which the new list keeps one only. */
async function oneMajority(): Promise<string | undefined> {
  const world = new SmallWorld()
  await begun(world)
  let stored: Promise<boolean> | undefined
  const operator = world.process(BOTH, async (_node, commands) => {
    if (ends(commands)) await (stored ??= world.process(BOTH, awayFor(0, 3)).add('second'))
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
    const leave = await world.process(BOTH, without(away)).hold('second')
    away.push(1)
    return leave === undefined ? false : leave()
  }
  const operator = world.process(BOTH, async (node, commands) => {
    if (node !== 0 && ends(commands)) await (stored ??= store())
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
  const store = await world.during(world.process(BOTH, without(away)).hold('second'))
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
    if (node !== 0 && ends(commands)) throw new FlightError('not-sent', 'it is away')
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
    if (ends(commands)) await (stored ??= world.process(OLD_ONLY, awayFor(0)).add('second'))
  })
  const { isChanged } = await world.during(operator.repair())
  if (!isChanged) await world.during(world.process(BOTH).repair())
  return lossIn(await world.during(world.process(NEW_ONLY, awayFor(1)).names()), (await stored) === true ? ['first', 'second'] : ['first'])
}

/** Who has begun a session by the old list, before the change, stores it behind its end: the session's lock stood there, and no record. */
async function changeOverlooksLocks(): Promise<string | undefined> {
  const world = new SmallWorld()
  await forgotten(world)
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
  const store = await world.during(world.process(OLD_ONLY, without(away)).hold('second'))
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

/**
 * A node leaves a list of four. Of those that stay one has not kept the session before: for the session it joins. It and another one are told of the
 * end, and take a change; the other two are not. Then that node is emptied, and the two know nothing of the change.
 */
async function endsUntold(): Promise<string | undefined> {
  const world = new SmallWorld()
  const before: List = { ...OLD, spare: 3 }
  const both: Path = { list: NEW, before }
  await world.during(world.process({ list: before }).add('first'))
  const operator = world.process(both, (node, commands) => {
    if ((node === 1 || node === 2) && ends(commands)) throw new FlightError('not-sent', 'it is away')
  })
  await world.during(operator.repair())
  const acknowledged = (await world.during(world.process(both, awayFor(1, 2)).add('second'))) ? ['first', 'second'] : ['first']
  await world.empty(3)
  return lossIn(await world.during(world.process(both, awayFor(0)).names()), acknowledged)
}

/**
 * The list was changed, and the node that has joined is emptied: for those who go by the change it is on no list. One node has the session and
 * one has evicted it, and with what that third one says all have spoken.
 */
async function unlistedIsSilent(): Promise<string | undefined> {
  const world = new SmallWorld()
  await begun(world)
  const { isChanged } = await world.during(world.process(BOTH).repair())
  if (!isChanged) return 'the list was not changed'
  await world.evict(RECORD, 1)
  await world.empty(3)
  if (!(await world.during(world.process(BOTH).add('second')))) return 'the session could not be had, though all nodes were there'
  return lossIn(await world.during(world.process(BOTH).names()), ['first', 'second'])
}

export const storiesOfChange: Readonly<Record<string, Story>> = {
  ...{ unlistedIsSilent, oneMajority, oldDecidesTooLong, oldKnowsTooLong, newDecidesTooEarly, changeUnbegun, changeOverlooksLocks, changeTrustsItsEyes, endsUntold },
}
