/** observe: what it costs a cycle that somebody could listen, and that somebody does. */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type * as Bridge from '../../src/adapters/prometheus/index.js'
import type * as Hubs from '../../src/adapters/inspector/hub.js'
import type * as Sources from '../../src/adapters/inspector/source.js'
import type * as Channels from '../../src/observe/channels.js'
import { MemcachedServer } from '../../test/support/memcached-server.js'
import { type Contender, RECORD_BYTES } from '../contenders/contender.js'
import { LatchkeyHooks } from '../contenders/latchkey.js'
import { drive, inRounds, seedAll, type Slice } from '../support/drive.js'
import { DIST, loadLatchkey, type SessionManager } from '../support/latchkey.js'
import { changed, sessionOf } from '../support/record.js'
import { num, type Row, type RowResult } from '../support/result.js'
import { median, ratioOf, spreadPct } from '../support/statistics.js'

const SESSIONS = 1024
const IN_FLIGHT = 64
const OFF = 'nobody listens'
const ON = 'a listener for each event'
const BRIDGE = 'latchkey/prometheus'
const UNSEEN = 'latchkey/inspector, nobody connected'
const SEEN = 'latchkey/inspector, one page open'
const AGAINST = 'the other build'

export const observe: Row = {
  about: `cycles of ${String(RECORD_BYTES)} bytes without listeners, and with one for each event`,
  async run({ quick, against, progress }) {
    await using server = await MemcachedServer.start()
    const { channels } = await loadChannels()
    const { instrumentPrometheus } = await loadBridge()
    const inspectorOf = await loadInspector()
    const entries = [
      await enter(server, OFF, DIST, () => []),
      await enter(server, ON, DIST, () => Object.values(channels).map((kind) => kind.onOver(() => undefined))),
      await enter(server, BRIDGE, DIST, (manager) => [instrumentPrometheus(manager)]),
      await enter(server, UNSEEN, DIST, (manager) => {
        inspectorOf(manager)
        return []
      }),
      // What a connection costs beyond that is a write of some kilobytes, five times a second.
      await enter(server, SEEN, DIST, (manager) => [inspectorOf(manager).join({ isReady: true, write: () => undefined, end: () => undefined })]),
      ...(against === undefined ? [] : [await enter(server, AGAINST, against, () => [])]),
    ]
    const contenders = entries.map(({ contender }) => contender)
    const listeners = new Map(entries.map(({ contender, listen }) => [contender, listen]))
    for (const one of contenders) await seedAll(one, SESSIONS)
    const [rounds, forMs] = quick ? [9, 150] : [61, 250]
    const slices = await inRounds(
      contenders,
      rounds,
      async (one) => {
        const stops = listeners.get(one)?.() ?? []
        try {
          return await drive(one, { inFlight: IN_FLIGHT, forMs, sessions: SESSIONS })
        } finally {
          for (const stop of stops) stop()
        }
      },
      progress,
    )
    for (const one of contenders) await one.close()
    return resultOf(slices, questionsNs(channels))
  },
}

/** Begins to listen, and returns what ends it. */
type Listen<A extends unknown[]> = (...args: A) => (() => void)[]

interface Entry {
  readonly contender: Contender
  readonly listen: Listen<[]>
}

async function enter({ port }: MemcachedServer, name: string, dist: string, listen: Listen<[SessionManager]>): Promise<Entry> {
  const { SessionManager: Manager } = await loadLatchkey(dist)
  const manager = new Manager({ savePath: `tcp://127.0.0.1:${String(port)}`, prefix: `${name.replaceAll(' ', '-')}:` })
  const contender = new LatchkeyHooks(name, manager, JSON.stringify(sessionOf(RECORD_BYTES)), changed)
  return { contender, listen: () => listen(manager) }
}

async function loadBridge(): Promise<typeof Bridge> {
  const loaded: typeof Bridge = await import(pathToFileURL(join(DIST, 'adapters/prometheus/index.js')).href)
  return loaded
}

async function loadInspector(): Promise<(manager: SessionManager) => Hubs.Hub> {
  const load = async <T>(file: string): Promise<T> => (await import(pathToFileURL(join(DIST, 'adapters/inspector', file)).href)) as T
  const { Hub } = await load<typeof Hubs>('hub.js')
  const { ManagerSource } = await load<typeof Sources>('source.js')
  return (manager) => new Hub([new ManagerSource(manager)], manager.engine.settings.clock, undefined)
}

async function loadChannels(): Promise<typeof Channels> {
  const loaded: typeof Channels = await import(pathToFileURL(join(DIST, 'observe/channels.js')).href)
  return loaded
}

/** What an uncontended cycle asks: whether anybody listens to its acquisition, two flights, commit and release. */
function questionsNs({ acquire, flight, fenced, wait, commit, release }: (typeof Channels)['channels']): number {
  const kinds = [acquire, flight, fenced, wait, commit, release, flight, fenced, wait]
  const CYCLES = 200_000
  const rounds = Array.from({ length: 9 }, () => {
    let listened = 0
    const startMs = performance.now()
    for (let cycle = 0; cycle < CYCLES; cycle++) for (const kind of kinds) if (kind.isObserved) listened++
    if (listened > 0) throw new Error('somebody listens')
    return ((performance.now() - startMs) * 1e6) / CYCLES
  })
  return median(rounds)
}

type Slices = ReadonlyMap<string, readonly Slice[]>
type Values = (slices: readonly Slice[] | undefined) => number[]

const throughputs: Values = (slices) => (slices ?? []).map((slice) => slice.cyclesPerSecond)
const cpuUs: Values = (slices) => (slices ?? []).map((slice) => slice.cpuUsPerCycle)

function resultOf(slices: Slices, askingNs: number): RowResult {
  const off = cpuUs(slices.get(OFF))
  const other = slices.get(AGAINST)
  const morePct = (ones: readonly number[], others: readonly number[]): number => 100 * (ratioOf(ones, others) - 1)
  return {
    figures: {
      'observability.offOverheadPct': askingNs / 10 / median(off),
      'observability.onOverheadPct': morePct(cpuUs(slices.get(ON)), off),
      'observability.prometheusOverheadPct': morePct(cpuUs(slices.get(BRIDGE)), off),
      'observability.inspectorUnseenOverheadPct': morePct(cpuUs(slices.get(UNSEEN)), off),
      'observability.inspectorOverheadPct': morePct(cpuUs(slices.get(SEEN)), off),
      ...(other === undefined ? {} : { 'observability.againstOverheadPct': morePct(off, cpuUs(other)) }),
    },
    tables: [
      {
        title: `observe: cycles, ${String(IN_FLIGHT)} in flight`,
        head: ['', 'cycles/s', '± %', 'CPU µs/cycle', '± %'],
        rows: [...slices].map(([name, own]) => [
          name,
          num(median(throughputs(own))),
          num(spreadPct(throughputs(own))),
          num(median(cpuUs(own))),
          num(spreadPct(cpuUs(own))),
        ]),
      },
    ],
    charts: [],
    notes: [
      `offOverheadPct: ${num(askingNs)} ns a cycle for asking whether anybody listens, of its CPU time`,
      'the others: CPU time, by rounds; the other build is that of --against',
    ],
  }
}
