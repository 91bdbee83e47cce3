/**
 * A story that the drawn runs meet once in ten thousand: a write that one node carries out long after the session was changed again, and
 * after that node has evicted it. With a second node that the change did not reach, it would make a majority that knows an old session.
 */
import { isAdvice, isOfProcesses, markKeyOf } from '../../../src/lock/protocol/key-layout.js'
import { createMemoryWire } from '../../../src/wire/memory/memory-wire.js'
import { createReplicatedWire } from '../../../src/wire/replicated/replicated-wire.js'
import { type Command, FlightError, type Wire } from '../../../src/wire/wire.js'
import { LatchkeyError, SessionManager } from 'latchkey'
import { SeededRandom, VirtualClock } from 'latchkey/testing'

const PREFIX = 'sess:'
const RECORD = `${PREFIX}sid`
const LEASE_SEC = 2
const [KNOWS, FORGETS, SLEEPS] = [0, 1, 2]

type Cart = { version: number }

/** @returns what is wrong; undefined: nothing. */
export async function playLateWrite(): Promise<string | undefined> {
  const clock = new VirtualClock()
  const stores = [KNOWS, FORGETS, SLEEPS].map(() => createMemoryWire({ clock }))
  const [, forgetful] = stores
  const away = new Set<number>()
  const late: (readonly Command[])[] = []
  let isLate = false
  let isAsleep = false

  const writes = ({ op, key }: Command): boolean => key === RECORD && op !== 'get'
  const wireTo = (store: Wire, node: number): Wire => ({
    flight: async (route, commands) => {
      if (away.has(node) || (node === SLEEPS && isAsleep && commands.some(writes))) throw new FlightError('not-sent', 'it is away')
      if (node !== FORGETS || !isLate || !commands.some(writes)) return store.flight(route, commands)
      late.push(commands)
      throw new FlightError('unknown', 'it did not answer in time')
    },
    maxValueBytes: (route, key) => store.maxValueBytes(route, key),
    sweep: () => 0,
    close: () => Promise.resolve(),
  })
  const managerOf = (seed: number): SessionManager => {
    const random = new SeededRandom(seed)
    const wire = createReplicatedWire({
      places: stores.map((store, node) => ({ name: `n${String(node)}`, wire: wireTo(store, node), keyPrefix: '' })),
      ...{ replicas: 3, list: 'one', ranked: () => [KNOWS, FORGETS, SLEEPS], markKey: markKeyOf(PREFIX), clock, random, flightMs: 700 },
      kindOf: (key) => (isAdvice(key) ? 'advice' : isOfProcesses(key) ? 'lock' : 'record'),
    })
    return new SessionManager({ wire, clock, random, leaseSec: LEASE_SEC, deadlineMs: 2100 })
  }
  const store = async (seed: number, version: number): Promise<void> => {
    await clock.runUntil(managerOf(seed).run<Cart>('sid', ({ data }) => void (data.version = version)))
    // What was left on a node is gone after its lease.
    await clock.runUntil(new Promise<void>((resolve) => clock.setTimer(resolve, 2000 * LEASE_SEC)))
  }

  await clock.runUntil(managerOf(1).run('first', () => undefined))
  isLate = true
  await store(2, 1)
  isLate = false
  isAsleep = true
  await store(3, 2)
  await forgetful?.flight('', [{ op: 'delete', key: RECORD }])
  for (const commands of late) await forgetful?.flight('', commands)
  if (late.length === 0) return 'nothing was late'
  away.add(KNOWS)
  try {
    const found = await clock.runUntil(managerOf(4).peek<Cart>('sid'))
    return `the session was read as it was before: ${JSON.stringify(found)}`
  } catch (error) {
    // Of the two that are there none has the last change: to refuse is all that can be done.
    return error instanceof LatchkeyError && error.code === 'LATCHKEY_SERVER_UNAVAILABLE' ? undefined : String(error)
  }
}
