/** file: sessions on the disk of this machine, beside memcached, PHP's files, and what else keeps them on a disk. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemcachedServer } from '../../test/support/memcached-server.js'
import type { FileWorker, Kind, Load, Loaded } from '../processes/file-worker.js'
import type { Worker } from '../processes/worker.js'
import { Child } from '../support/child.js'
import { PhpCycles, whyNoPhp } from '../support/php-cycles.js'
import { num, type Row, type RowContext, type RowResult } from '../support/result.js'
import { median, quantile, ratioOf, spreadPct } from '../support/statistics.js'
import { allHolds, warmUp } from './handoff.js'

const PROCESSES = 4
const SESSIONS = 4096
const FILE = 'latchkey, file:'
const MEMCACHED = 'latchkey, memcached'
const SESSION_FILE_STORE = 'session-file-store'
const SQLITE_STORE = 'better-sqlite3-session-store'
const PHP = "PHP's files"
/** What is left of the machine: processes that only count. */
const BUSY = 'busy'

interface Crew {
  readonly name: string
  /** One of its processes. */
  load(process: number, load: Load): Promise<Omit<Loaded, 'lagP99Ms'> & Partial<Loaded>>
  stop(): void
}

interface Scene {
  readonly name: string
  readonly processes: number
  /** In each process. */
  readonly inFlight: number
  readonly sessions: number
  /** Whether each process has sessions of its own. */
  readonly isApart: boolean
  readonly crews: readonly string[]
}

const EVERYBODY = [FILE, MEMCACHED, SESSION_FILE_STORE, SQLITE_STORE, PHP]
const WHO_LOCK = [FILE, MEMCACHED, PHP]
const ONE: Scene = { name: '1 process, one at a time', processes: 1, inFlight: 1, sessions: SESSIONS, isApart: true, crews: EVERYBODY }
const MANY: Scene = { ...ONE, name: '1 process, 64 at a time', inFlight: 64, crews: EVERYBODY.filter((name) => name !== PHP) }
const APART: Scene = { ...ONE, name: '4 processes, sessions of their own', processes: PROCESSES, sessions: SESSIONS / PROCESSES, crews: [...EVERYBODY, BUSY] }
const SHARED: Scene = { ...APART, name: '4 processes, the same 64', sessions: 64, isApart: false, crews: WHO_LOCK }
const HOT: Scene = { ...SHARED, name: '4 processes, one session', sessions: 1 }
const SCENES = [ONE, MANY, APART, SHARED, HOT]
type Measured = Awaited<ReturnType<Crew['load']>>[]

export const file: Row = {
  about: 'sessions on disk, by one process and by four, beside memcached and other stores on disk',
  async run(context) {
    await using server = await MemcachedServer.start()
    const root = mkdtempSync(join(tmpdir(), 'latchkey-bench-'))
    const notes: string[] = []
    const crews = new Map<string, Crew>()
    try {
      await gather(crews, root, server, notes, context)
      const results = await play(crews, context)
      for (const crew of crews.values()) crew.stop()
      return report(results, await handoffs(root, notes, context), notes)
    } finally {
      for (const crew of crews.values()) crew.stop()
      rmSync(root, { recursive: true, force: true })
    }
  },
}

async function gather(crews: Map<string, Crew>, root: string, server: MemcachedServer, notes: string[], { progress }: RowContext): Promise<void> {
  const place = (name: string): string => {
    const directory = join(root, name)
    mkdirSync(directory, { mode: 0o700 })
    return directory
  }
  const kinds: readonly (readonly [string, Kind, string])[] = [
    [FILE, 'latchkey', `file:${place('latchkey')}`],
    [MEMCACHED, 'latchkey', `tcp://${server.address}`],
    [SESSION_FILE_STORE, 'session-file-store', place('files')],
    [SQLITE_STORE, 'better-sqlite3-session-store', place('sqlite')],
    [BUSY, 'busy', ''],
  ]
  for (const [name, kind, where] of kinds) {
    progress(`storing ${String(SESSIONS)} sessions, ${name}`)
    const workers = await Promise.all(Array.from({ length: PROCESSES }, () => Child.start<FileWorker>('file-worker.ts')))
    const stop = (): void => {
      for (const worker of workers) worker.stop()
    }
    try {
      for (const worker of workers) await worker.call('open', { kind, place: where })
      await workers[0]?.call('seed', { first: 0, sessions: SESSIONS })
    } catch (error) {
      stop()
      notes.push(`no row for ${name}: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)}`)
      continue
    }
    const load = (process: number, what: Load): Promise<Loaded> => {
      const worker = workers[process]
      if (worker === undefined) throw new RangeError(`there is no process ${String(process)}`)
      return worker.call('load', what)
    }
    crews.set(name, { name, load, stop })
  }
  const missing = whyNoPhp()
  if (missing === undefined) crews.set(PHP, await PhpCycles.start(PHP, 'files', place('php'), PROCESSES))
  else notes.push(`no row for ${PHP}: ${missing}`)
}

/** All scenes of all of them, interleaved: rounds of scenes, each beginning with another crew. */
async function play(crews: ReadonlyMap<string, Crew>, { quick, progress }: RowContext): Promise<Map<Scene, Map<string, Measured[]>>> {
  const results = new Map(SCENES.map((scene) => [scene, new Map<string, Measured[]>()]))
  const [rounds, forMs] = quick ? [3, 300] : [9, 700]
  for (let round = -1; round < rounds; round++) {
    for (const scene of SCENES) {
      const playing = scene.crews.flatMap((name) => crews.get(name) ?? [])
      for (let turn = 0; turn < playing.length; turn++) {
        const crew = playing[(turn + round + 1) % playing.length]
        if (crew === undefined) continue
        progress(`round ${String(round + 1)} of ${String(rounds)}: ${scene.name}, ${crew.name}`)
        const { inFlight, sessions, isApart, processes } = scene
        const loads = Array.from({ length: processes }, (_, process) =>
          crew.load(process, { first: isApart ? process * sessions : 0, sessions, inFlight, forMs }),
        )
        const measured = await Promise.all(loads)
        // The first one warms up.
        if (round >= 0) results.get(scene)?.set(crew.name, [...(results.get(scene)?.get(crew.name) ?? []), measured])
      }
    }
  }
  return results
}

interface Handoffs {
  readonly holdMs: number
  readonly delaysMs: readonly number[]
}

async function handoffs(root: string, notes: string[], { quick, progress }: RowContext): Promise<readonly Handoffs[]> {
  const workers = await Promise.all([1, 2].map(() => Child.start<Worker>('worker.ts')))
  const [one, other] = workers
  if (one === undefined || other === undefined) throw new TypeError('two workers were started')
  await Promise.all(workers.map((worker) => worker.call('open', { savePath: `file:${join(root, 'latchkey')}`, waitMs: 600_000 })))
  await warmUp(one, other)
  progress('a session changes hands, held 1 ms to 1 s')
  const lateness = other.call('timerLateness', 10_000)
  // Of 200 times the worst two decide, and each process collects its garbage once or twice in a run.
  const all: Handoffs[] = []
  for (let run = 0; run < (quick ? 1 : 3); run++) {
    const found = await allHolds(one, other, quick ? 100 : 1000)
    found.forEach(({ holdMs, delaysMs }, at) => {
      all[at] = { holdMs, delaysMs: [...(all[at]?.delaysMs ?? []), ...delaysMs] }
    })
  }
  const { p50Ms, p99Ms } = await lateness
  for (const worker of workers) worker.stop()
  notes.push(`a timer of 2 ms fired ${num(p50Ms)} ms late in these processes, p99 ${num(p99Ms)} ms: the machine's own share of a hand-off`)
  return all
}

function report(results: ReadonlyMap<Scene, ReadonlyMap<string, Measured[]>>, handed: readonly Handoffs[], notes: readonly string[]): RowResult {
  const rounds = (scene: Scene, name: string): Measured[] => results.get(scene)?.get(name) ?? []
  const rates = (scene: Scene, name: string): number[] =>
    rounds(scene, name).map((processes) => processes.reduce((sum, { cyclesPerSecond }) => sum + cyclesPerSecond, 0))
  const ratio = (scene: Scene, name: string): number => ratioOf(rates(scene, FILE), rates(scene, name))
  const worst = (scene: Scene, name: string, what: (one: Measured[number]) => number | undefined): number =>
    median(rounds(scene, name).map((processes) => Math.max(...processes.map((one) => what(one) ?? NaN))))
  const lag = (name: string): number => worst(APART, name, ({ lagP99Ms }) => lagP99Ms)
  const p99 = ({ delaysMs }: Handoffs): number => quantile(delaysMs, 0.99)
  const figures = {
    'file.sequentialRatioToMemcached': ratio(ONE, MEMCACHED),
    'file.ratioToSessionFileStore': Math.min(ratio(ONE, SESSION_FILE_STORE), ratio(MANY, SESSION_FILE_STORE)),
    'file.hotRatioToPhpFiles': ratio(HOT, PHP),
    'file.handoffP99Ms': Math.max(...handed.map(p99)),
    'file.lagP99Ms': lag(FILE),
  }
  return {
    figures: Object.fromEntries(Object.entries(figures).filter(([, value]) => Number.isFinite(value))),
    tables: [
      ...SCENES.map((scene) => ({
        title: `file: ${scene.name}`,
        head: ['', 'cycles/s', '± %', 'file: over it', 'p50 ms', 'p99 ms'],
        rows: scene.crews
          .filter((name) => name !== BUSY && rounds(scene, name).length > 0)
          .map((name) => [
            name,
            num(median(rates(scene, name))),
            num(spreadPct(rates(scene, name))),
            num(ratio(scene, name)),
            num(worst(scene, name, ({ p50Ms }) => p50Ms)),
            num(worst(scene, name, ({ p99Ms }) => p99Ms)),
          ]),
      })),
      {
        title: 'file: from the end of one hold, commit included, to the beginning of the next in another process',
        head: ['', 'times', 'p50 ms', 'p99 ms'],
        rows: handed.map((one) => [`held ${String(one.holdMs)} ms`, String(one.delaysMs.length), num(quantile(one.delaysMs, 0.5)), num(p99(one))]),
      },
    ],
    charts: [],
    notes: [
      `event-loop lag of four saturated processes, p99 of the worst: ${num(lag(FILE))} ms; of four that only count, the machine's own share: ${num(lag(BUSY))} ms`,
      `${SESSION_FILE_STORE} and ${SQLITE_STORE} do not lock; ${SESSION_FILE_STORE} has its own defaults (a flush of the disk for each file, five tries of a read, of which none was needed), less its log and its reaper`,
      ...notes,
    ],
  }
}
