/** herd: n requests at once on one session, 5 ms of work each, in one process. */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { MemcachedServer } from '../../test/support/memcached-server.js'
import { loadLatchkey, type SessionManager } from '../support/latchkey.js'
import { num, type Row, type RowContext } from '../support/result.js'
import { median, spreadPct } from '../support/statistics.js'

const WORK_MS = 5
const N = [10, 100, 1000]
const MAIN_N = 100
const WARM_UPS = 60
/** The work alone is measured in pieces of this many, around each herd. */
const MOST_IN_SEQUENCE = 50

interface Herd {
  readonly ms: number
  readonly flights: number
  /** Increments that were not lost. */
  readonly kept: number
}

interface Sample {
  readonly n: number
  readonly overheadPct: number
  /** What one bare round trip after each piece of work adds to it. */
  readonly tripPct: number
  readonly flightsPerRequest: number
  readonly keptShare: number
}

export const herd: Row = {
  about: 'n requests at once on one session, 5 ms of work each, one process',
  async run(context) {
    await using server = await MemcachedServer.start()
    const { SessionManager } = await loadLatchkey()
    const manager = new SessionManager({ savePath: `tcp://${server.address}`, maxWaiters: 2000, waitMs: 60_000 })
    const trip = await roundTrips(server)
    // As in a server that has run for a while: V8 compiles what has been called some thousand times.
    for (let round = 0; round < WARM_UPS; round++) await stampede(manager, `warm-up-${String(round)}`, MAIN_N, 0)
    await stampede(manager, 'warm-up', MAIN_N)
    const samples: Sample[] = []
    for (const n of N) samples.push(...(await rounds(manager, trip, n, context)))
    await manager.close()
    const of = (n: number): Sample[] => samples.filter((sample) => sample.n === n)
    const main = of(MAIN_N)
    const overheads = (n: number): number[] => of(n).map((sample) => sample.overheadPct)
    return {
      figures: {
        'herd.overheadPct': median(overheads(MAIN_N)),
        'herd.flightsPerRequest': median(main.map((sample) => sample.flightsPerRequest)),
        'herd.kept': Math.min(...samples.map((sample) => sample.keptShare)),
      },
      tables: [
        {
          title: `herd: requests at once on one session, ${String(WORK_MS)} ms of work each`,
          head: ['n', 'rounds', 'overhead %', '± %', 'a bare round trip %', 'flights/request', 'kept'],
          rows: N.map((n) => [
            String(n),
            String(of(n).length),
            num(median(overheads(n))),
            num(spreadPct(overheads(n))),
            num(median(of(n).map((sample) => sample.tripPct))),
            num(median(of(n).map((sample) => sample.flightsPerRequest))),
            of(n).every((sample) => sample.keptShare === 1) ? 'all' : `${num(median(of(n).map((s) => s.keptShare)) * 100)} %`,
          ]),
        },
      ],
      charts: [
        {
          file: 'herd-overhead',
          title: 'what locking adds to the same work in sequence',
          unit: '%',
          series: N.map((n) => ({ label: `latchkey, n = ${String(n)}`, values: overheads(n) })),
        },
      ],
      notes: [],
    }
  },
}

async function rounds(manager: SessionManager, trip: Trip, n: number, { quick, progress }: RowContext): Promise<Sample[]> {
  const count = n === 1000 ? (quick ? 1 : 5) : quick ? 5 : 11
  const samples: Sample[] = []
  const pieceSize = Math.min(n, MOST_IN_SEQUENCE)
  let before = await inSequence(pieceSize)
  for (let round = 0; round < count; round++) {
    progress(`n = ${String(n)}, round ${String(round + 1)} of ${String(count)}`)
    // The same work in sequence, before and after, so that a drift of the machine cancels out.
    const { ms, flights, kept } = await stampede(manager, `herd-${String(n)}-${String(round)}`, n)
    const after = await inSequence(pieceSize)
    const bareMs = ((before + after) / 2) * (n / pieceSize)
    const tripPct = 100 * ((await inSequence(pieceSize, trip)) / ((before + after) / 2) - 1)
    before = after
    samples.push({ n, overheadPct: 100 * (ms / bareMs - 1), tripPct, flightsPerRequest: flights / n, keptShare: kept / n })
  }
  return samples
}

type Trip = () => Promise<void>

/** One bare round trip to the server on a socket of its own: what even a perfect hand-over has to wait for. */
async function roundTrips(server: MemcachedServer): Promise<Trip> {
  const socket = server.connect().setNoDelay(true)
  await once(socket, 'connect')
  return async () => {
    socket.write('mn\r\n')
    await once(socket, 'data')
  }
}

async function inSequence(n: number, trip?: Trip): Promise<number> {
  const startMs = performance.now()
  for (let request = 0; request < n; request++) {
    await sleep(WORK_MS)
    await trip?.()
  }
  return performance.now() - startMs
}

async function stampede(manager: SessionManager, id: string, n: number, workMs = WORK_MS): Promise<Herd> {
  const flightsBefore = manager.stats().flights
  const startMs = performance.now()
  const request = async (): Promise<void> => {
    const store = manager.store()
    const count = Number(await store.read(id))
    if (workMs > 0) await sleep(workMs)
    await store.write(id, String(count + 1))
    await store.close()
  }
  await Promise.all(Array.from({ length: n }, request))
  const ms = performance.now() - startMs
  const flights = manager.stats().flights - flightsBefore
  return { ms, flights, kept: Number(await manager.store().peek(id)) }
}
