/** php: one session of PHP and Node: how long it takes to change hands between them, and a locked cycle of each. */
import { MemcachedServer } from '../../test/support/memcached-server.js'
import type { FileWorker } from '../processes/file-worker.js'
import type { Worker } from '../processes/worker.js'
import { Child } from '../support/child.js'
import { PhpCycles } from '../support/php-cycles.js'
import { PhpSessions, whatIsMissing } from '../support/php-sessions.js'
import { num, type Row, type RowContext, type RowResult } from '../support/result.js'
import { median, quantile, ratioOf, spreadPct } from '../support/statistics.js'

const SESSIONS = 4096
const HOLDS_MS = [5, 100]

/** How PHP tries again, and for how long latchkey leaves the session to it. */
const SETTINGS = [
  { name: "PHP's defaults (150 ms between tries)", standBackMs: 150, php: [] },
  {
    name: 'as advised (2 to 20 ms)',
    standBackMs: 20,
    php: ['memcached.sess_lock_wait_min=2', 'memcached.sess_lock_wait_max=20', 'memcached.sess_lock_retries=1000'],
  },
] as const

interface Handed {
  readonly setting: string
  readonly holdMs: number
  readonly toNodeMs: readonly number[]
  readonly toPhpMs: readonly number[]
  /** How often PHP gave up. */
  readonly refused: number
}

interface Cycles {
  readonly node: readonly number[]
  readonly php: readonly number[]
}

export const php: Row = {
  about: 'sessions that PHP and Node share: hand-offs both ways, and a locked cycle of each',
  async run(context) {
    const missing = whatIsMissing()
    if (missing !== undefined) return { figures: {}, tables: [], charts: [], notes: [`php: ${missing} is not installed`] }
    await using server = await MemcachedServer.start()
    const handed: Handed[] = []
    for (const setting of SETTINGS) handed.push(...(await handOffs(server, setting, context)))
    return report(handed, await cycles(server, context))
  },
}

async function handOffs(server: MemcachedServer, { name, standBackMs, php: ini }: (typeof SETTINGS)[number], { quick, progress }: RowContext): Promise<Handed[]> {
  const [node, other] = await Promise.all([Child.start<Worker>('worker.ts'), PhpSessions.start(server, ini)])
  try {
    await node.call('open', { savePath: `tcp://${server.address}`, waitMs: 600_000, php: { extension: 'memcached', standBackMs } })
    const all: Handed[] = []
    for (const holdMs of HOLDS_MS) {
      progress(`PHP and Node take turns, ${name}, held ${String(holdMs)} ms`)
      all.push({ setting: name, holdMs, ...(await takeTurns(node, other, `h${String(holdMs)}`, holdMs, quick ? 20 : 100)) })
    }
    return all
  } finally {
    node.stop()
    other.stop()
  }
}

/** Each waits while the other works. PHP gives up after its tries, and tries again here. */
async function takeTurns(node: Child<Worker>, other: PhpSessions, id: string, holdMs: number, times: number): Promise<Omit<Handed, 'setting' | 'holdMs'>> {
  const toNodeMs: number[] = []
  const toPhpMs: number[] = []
  let refused = 0
  await other.tell(`take ${id}`)
  for (let time = 0; time < times; time++) {
    const freed = other.tell(`free ${String(holdMs)}`)
    const { cameAtMs, acquiredAtMs } = await node.call('acquire', id)
    const [, freedAtMs] = await freed
    toNodeMs.push(acquiredAtMs - Math.max(Number(freedAtMs), cameAtMs))
    const released = node.call('releaseAfter', { id, holdMs })
    let [word, came, taken] = await other.tell(`take ${id}`)
    const firstCame = came
    for (; word !== 'taken'; refused++) [word, came, taken] = await other.tell(`take ${id}`)
    toPhpMs.push(Number(taken) - Math.max(await released, Number(firstCame)))
  }
  await other.tell('free 0')
  return { toNodeMs, toPhpMs, refused }
}

/** One cycle after the other by one process of each, by turns, on the same sessions. */
async function cycles(server: MemcachedServer, { quick, progress }: RowContext): Promise<Cycles> {
  const [rounds, forMs] = quick ? [3, 300] : [9, 700]
  const [node, other] = await Promise.all([Child.start<FileWorker>('file-worker.ts'), PhpCycles.start('php-memcached', 'memcached', server.address, 1)])
  const rates: { node: number[]; php: number[] } = { node: [], php: [] }
  try {
    await node.call('open', { kind: 'latchkey-php', place: `tcp://${server.address}` })
    await node.call('seed', { first: 0, sessions: SESSIONS })
    const load = { first: 0, sessions: SESSIONS, forMs }
    for (let round = -1; round < rounds; round++) {
      progress(`round ${String(round + 1)} of ${String(rounds)}: cycles of Node and of PHP`)
      const byNode = async (): Promise<number> => (await node.call('load', { ...load, inFlight: 1 })).cyclesPerSecond
      const byPhp = async (): Promise<number> => (await other.load(0, load)).cyclesPerSecond
      const [ofNode, ofPhp] = round % 2 === 0 ? [await byNode(), await byPhp()] : (await inTurn(byPhp, byNode)).reverse()
      // The first one warms up.
      if (round < 0 || ofNode === undefined || ofPhp === undefined) continue
      rates.node.push(ofNode)
      rates.php.push(ofPhp)
    }
    return rates
  } finally {
    node.stop()
    other.stop()
  }
}

const inTurn = async <T>(one: () => Promise<T>, other: () => Promise<T>): Promise<T[]> => [await one(), await other()]

function report(handed: readonly Handed[], { node, php: ofPhp }: Cycles): RowResult {
  const advised = handed.filter(({ setting }) => setting === SETTINGS[1].name)
  const worst = (what: (one: Handed) => readonly number[]): number => Math.max(...advised.map((one) => quantile(what(one), 0.5)))
  return {
    figures: {
      'php.handoffToNodeP50Ms': worst(({ toNodeMs }) => toNodeMs),
      'php.handoffToPhpP50Ms': worst(({ toPhpMs }) => toPhpMs),
      'php.sequentialRatioToPhp': ratioOf(node, ofPhp),
    },
    tables: [
      {
        title: 'php: from the end of one hold to the beginning of the next, on the other side',
        head: ['', 'held ms', 'to Node, p50 ms', 'p99 ms', 'to PHP, p50 ms', 'p99 ms', 'PHP gave up'],
        rows: handed.map(({ setting, holdMs, toNodeMs, toPhpMs, refused }) => [
          setting,
          num(holdMs),
          ...[toNodeMs, toPhpMs].flatMap((delays) => [num(quantile(delays, 0.5)), num(quantile(delays, 0.99))]),
          String(refused),
        ]),
      },
      {
        title: 'php: locked cycles, one at a time, of sessions of 350 bytes that PHP reads',
        head: ['', 'cycles/s', '± %'],
        rows: [
          ['latchkey, php: memcached', num(median(node)), num(spreadPct(node))],
          ['php-memcached, locking', num(median(ofPhp)), num(spreadPct(ofPhp))],
        ],
      },
    ],
    charts: [],
    notes: ['Node decodes the session, changes it and encodes it, as PHP does; it waits for PHP by asking again, as PHP does for Node'],
  }
}
