/** records: what encryption adds to a cycle of 400 bytes, and what compression costs and saves. */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type * as Format from '../../src/session/record-format.js'
import type * as Compression from '../../src/session/records/compression.js'
import { MemcachedServer } from '../../test/support/memcached-server.js'
import { type Contender, RECORD_BYTES } from '../contenders/contender.js'
import { LatchkeyHooks } from '../contenders/latchkey.js'
import { drive, inRounds, seedAll, type Slice } from '../support/drive.js'
import { DIST, loadLatchkey, type SessionManager } from '../support/latchkey.js'
import { changed, sessionOf } from '../support/record.js'
import { num, type Row, type RowContext, type Table } from '../support/result.js'
import { median, ratioOf, spreadPct } from '../support/statistics.js'

const SESSIONS = 1024
const CLEAR = 'in clear'
const ENCRYPTED = 'encrypted'
/** By a process that did not have the session last, and has to decrypt it. */
const ELSEWHERE = 'encrypted elsewhere'
const KEY = { id: '2026-11', secret: 'a secret of the benchmarks, and of nothing else' }

export const records: Row = {
  about: `encryption on cycles of ${String(RECORD_BYTES)} bytes; compression of 4, 40 and 400 KB`,
  async run(context) {
    await using server = await MemcachedServer.start()
    const contenders = await makeContenders(server)
    for (const contender of contenders) await seedAll(contender, SESSIONS)
    const single = await measure(contenders, 1, context)
    const many = await measure(contenders, 64, context)
    for (const contender of contenders) await contender.close()
    const compression = await measureCompression(context)
    return {
      figures: {
        'records.encryptionOverheadPct': overheadPct(single, latencies),
        'records.encryptionElsewhereOverheadPct': overheadPct(single, latencies, ELSEWHERE),
        'records.encryptionCpuUs': median(cpu(single.get(ENCRYPTED))) - median(cpu(single.get(CLEAR))),
        'records.encryptionSaturatedOverheadPct': overheadPct(many, secondsPerCycle),
        ...Object.fromEntries(
          compression.flatMap(({ bytes, ratio, packUs, unpackUs }) => [
            [`records.compressionRatioAt${String(bytes)}`, ratio],
            [`records.compressionPackUsAt${String(bytes)}`, packUs],
            [`records.compressionUnpackUsAt${String(bytes)}`, unpackUs],
          ]),
        ),
      },
      tables: [
        tableOf('records: cycles, one at a time', single),
        tableOf('records: cycles, 64 in flight', many),
        {
          title: 'records: compression',
          head: ['bytes', 'of it', 'pack µs', 'unpack µs', 'JSON.stringify µs', 'JSON.parse µs'],
          rows: compression.map((one) => [
            num(one.bytes),
            num(one.ratio),
            num(one.packUs),
            num(one.unpackUs),
            num(one.stringifyUs),
            num(one.parseUs),
          ]),
        },
      ],
      charts: [],
      notes: [
        'encryptionOverheadPct: latency, one at a time, of sessions that this process had last; elsewhere: another one had',
        'encryptionSaturatedOverheadPct: throughput of a process that does nothing else',
      ],
    }
  },
}

type Slices = ReadonlyMap<string, readonly Slice[]>

async function makeContenders({ port }: MemcachedServer): Promise<Contender[]> {
  const { SessionManager: Manager } = await loadLatchkey()
  const savePath = `tcp://127.0.0.1:${String(port)}`
  const record = JSON.stringify(sessionOf(RECORD_BYTES))
  const clear = new Manager({ savePath, prefix: 'clear:' })
  const encrypted = (prefix: string): SessionManager =>
    new Manager({ savePath, prefix, encryption: { keys: [KEY] } })
  const hooks = (name: string, manager: SessionManager): Contender => new LatchkeyHooks(name, manager, record, changed)
  return [
    hooks(CLEAR, clear),
    hooks(ENCRYPTED, encrypted('own:')),
    inTurns(hooks(ELSEWHERE, encrypted('both:')), hooks(ELSEWHERE, encrypted('both:')), SESSIONS),
  ]
}

/** Each session is changed by the one and by the other. */
function inTurns(one: Contender, other: Contender, sessions: number): Contender {
  const isOthers = new Uint8Array(sessions)
  return {
    name: one.name,
    seed: (index) => one.seed(index),
    cycle(index) {
      isOthers[index] = isOthers[index] === 1 ? 0 : 1
      return (isOthers[index] === 1 ? other : one).cycle(index)
    },
    async close() {
      await Promise.all([one.close(), other.close()])
    },
  }
}

function measure(list: readonly Contender[], inFlight: number, context: RowContext): Promise<Slices> {
  const [rounds, forMs] = context.quick ? [9, 150] : [21, 400]
  return inRounds(list, rounds, (contender) => drive(contender, { inFlight, forMs, sessions: SESSIONS }), (text) => {
    context.progress(`${String(inFlight)} in flight: ${text}`)
  })
}

const throughputs = (slices: readonly Slice[] | undefined): number[] =>
  (slices ?? []).map((slice) => slice.cyclesPerSecond)
const secondsPerCycle = (slices: readonly Slice[] | undefined): number[] =>
  throughputs(slices).map((perSecond) => 1 / perSecond)
const cpu = (slices: readonly Slice[] | undefined): number[] => (slices ?? []).map((slice) => slice.cpuUsPerCycle)
const latencies = (slices: readonly Slice[] | undefined): number[] =>
  (slices ?? []).map((slice) => median(slice.latenciesMs) * 1000)

type Values = (slices: readonly Slice[] | undefined) => number[]

const overheadPct = (slices: Slices, values: Values, name = ENCRYPTED): number =>
  100 * (ratioOf(values(slices.get(name)), values(slices.get(CLEAR))) - 1)

function tableOf(title: string, slices: Slices): Table {
  return {
    title,
    head: ['', 'cycles/s', '± %', 'CPU µs/cycle', 'p50 µs'],
    rows: [...slices].map(([name, own]) => [
      name,
      num(median(throughputs(own))),
      num(spreadPct(throughputs(own))),
      num(median(cpu(own))),
      num(median(latencies(own))),
    ]),
  }
}

interface CompressionCost {
  readonly bytes: number
  /** Of the text's size. */
  readonly ratio: number
  readonly packUs: number
  readonly unpackUs: number
  readonly stringifyUs: number
  readonly parseUs: number
}

async function measureCompression(context: RowContext): Promise<CompressionCost[]> {
  const format = await loadFormat()
  return [4000, 40_000, 400_000].map((bytes) => {
    context.progress(`compression of ${num(bytes)} bytes`)
    const data = basketOf(bytes)
    const text = JSON.stringify(data)
    const record = format.pack('sid', text)
    return {
      bytes,
      ratio: record.length / text.length,
      packUs: usOf(() => format.pack('sid', text)),
      // A copy: what was unpacked once is remembered.
      unpackUs: usOf(() => format.unpack('sid', Buffer.from(record))),
      stringifyUs: usOf(() => JSON.stringify(data)),
      parseUs: usOf(() => JSON.parse(text)),
    }
  })
}

async function loadFormat(): Promise<Format.RecordFormat> {
  const load = (file: string): string => pathToFileURL(join(DIST, 'session', file)).href
  const { RecordFormat }: typeof Format = await import(load('record-format.js'))
  const { Compression: Codec }: typeof Compression = await import(load('records/compression.js'))
  return new RecordFormat({ compression: Codec.of({ aboveBytes: 1024 }) })
}

/** What shops keep: entries of one shape with different values. */
function basketOf(bytes: number): object {
  const items: object[] = []
  for (let at = 0, length = 0; length < bytes; at++) {
    const noise = (at * 2_654_435_761) % 4_294_967_296
    const item = {
      sku: noise.toString(36),
      name: `${['Kettle', 'Lamp', 'Chair', 'Desk'][at % 4] ?? ''} ${(noise % 9973).toString(36)}`,
      price: (noise % 10_000) / 100,
      quantity: at % 5,
      addedAt: new Date(1_700_000_000_000 + at * 61_234).toISOString(),
    }
    length += JSON.stringify(item).length + 1
    items.push(item)
  }
  return { user: { id: 1 }, items }
}

/** The fastest of some rounds: what the work takes, without the neighbours. */
function usOf(work: () => unknown): number {
  const ROUNDS = 15
  const FOR_MS = 20
  const rounds = Array.from({ length: ROUNDS }, () => {
    let count = 0
    const startMs = performance.now()
    let nowMs = startMs
    for (; nowMs - startMs < FOR_MS; nowMs = performance.now()) {
      work()
      count++
    }
    return ((nowMs - startMs) * 1000) / count
  })
  return Math.min(...rounds)
}
