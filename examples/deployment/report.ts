import type { Played } from './scene.js'
import type { Happened } from './storm.js'
import type { Stuck } from './stuck.js'
import { quantile } from './tally.js'

export const USAGE = `Usage: npm run example:deployment [-- --seconds n] [--users n] [--json | --help]

nginx, four Node processes and memcached (one, then three) on loopback, and
1,000 users before them. Three scenes: a calm minute; a backend that is slow, so
that 50 sessions are tied down; and a minute in which a process is killed, a
memcached is restarted, nginx is reloaded and the application is rolled.
In the end every session is looked into.

  --seconds n   of each scene; 60 without it
  --users n     1,000 without it; each looks at a page in 15 seconds
  --json        print one JSON object and nothing else; progress goes to
                standard error
  --help        print this

It installs nothing. Needed: nginx and memcached (apt-get install nginx-light
memcached). Any user can run it.

Exit code: 0 every goal was reached; 1 one was not, or it could not run;
2 for a wrong argument; 130 after ctrl-C.`

export interface Result {
  readonly scenes: readonly Played[]
  readonly stuck: Stuck
  readonly happened: readonly Happened[]
}

/** What `--json` prints. */
export function figuresOf({ scenes, stuck }: Result): object {
  const sum = (of: (scene: Played) => number): number => scenes.reduce((total, scene) => total + of(scene), 0)
  const poolMax = scenes.find(({ name }) => name === 'slow backend')?.poolMax ?? 0
  return {
    requests: sum(({ tally }) => tally.requests),
    expected: sum(({ account }) => account.expected),
    kept: sum(({ account }) => account.kept),
    lost: sum(({ account }) => account.lost),
    stuck: { p99Ratio: round(stuck.p99Ratio), memcachedCpuPct: round(stuck.memcachedCpuPct), connections: stuck.connections, poolMax },
  }
}

interface Goal {
  readonly is: string
  readonly isReached: boolean
}

const MAX_RATIO = 1.2
const MAX_CPU_PCT = 10

export function goalsOf({ scenes, stuck, happened }: Result): readonly Goal[] {
  const goal = (isReached: boolean, is: string): Goal => ({ is, isReached })
  const goals = scenes.flatMap(({ name, account: { expected, kept, lost, wrong } }) => [
    goal(expected > 0 && lost === 0, `${name}: ${count(kept)} of ${count(expected)} acknowledged changes are kept`),
    goal(wrong === 0, `${name}: ${count(wrong)} are there twice, or although they were refused`),
  ])
  const calm = scenes.filter(({ name }) => name !== 'storm')
  const errors = calm.reduce((sum, { tally }) => sum + tally.failed, 0)
  const { victims, p99Ratio, noiseRatio, isJudged, memcachedCpuPct, connections } = stuck
  const bound = isJudged ? `goal ${String(MAX_RATIO)}; idle against idle ${fixed(noiseRatio, 2)}` : 'too few requests to judge it'
  const poolMax = scenes[1]?.poolMax ?? 0
  return [
    ...goals,
    goal(errors === 0, `${count(errors)} errors while nothing was broken`),
    ...happened.map(({ name, mayFail, errors: told }) => goal(mayFail || told === 0, `${name}: ${count(told)} errors${mayFail ? '' : ', and none is due'}`)),
    // What this machine does by itself cannot be told from what the tied sessions do.
    goal(!isJudged || p99Ratio <= Math.max(MAX_RATIO, noiseRatio), `${count(victims)} sessions tied down: p99 of the others is ${fixed(p99Ratio, 2)} times the idle one (${bound})`),
    goal(memcachedCpuPct < MAX_CPU_PCT, `meanwhile memcached takes ${fixed(memcachedCpuPct)} % of a core (goal ${String(MAX_CPU_PCT)})`),
    goal(connections <= poolMax, `and has ${String(connections)} connections (the pools' limit is ${String(poolMax)})`),
  ]
}

export const isReached = (result: Result): boolean => goalsOf(result).every((goal) => goal.isReached)

type Row = readonly [string, (scene: Played) => string]

const ROWS: readonly Row[] = [
  ['memcached', ({ servers }) => count(servers)],
  ['requests', ({ tally }) => count(tally.requests)],
  ['changes acknowledged, to be kept', ({ account }) => count(account.expected)],
  ['  kept', ({ account }) => count(account.kept)],
  ['  lost', ({ account }) => count(account.lost)],
  ['logged out by the restart, sessions', ({ account }) => count(account.loggedOutSessions)],
  ['  their changes', ({ account }) => count(account.loggedOut)],
  ['outcome unknown to the visitor', ({ account }) => count(account.unknown)],
  ['free requests, p50 / p99 ms', quantiles(false)],
  ['waiting requests, p50 / p99 ms', quantiles(true)],
  ['waiting at once (/metrics)', ({ observed }) => count(observed.waiting)],
  ['refused as too late (/metrics)', ({ observed }) => count(observed.fenced)],
  ['busiest memcached, % of a core', ({ observed }) => fixed(observed.memcachedCpuPct)],
  ['connections to memcached / limit', ({ observed, poolMax }) => `${count(observed.connections)} / ${count(poolMax)}`],
  ['who plays the users, % of a core', ({ observed }) => fixed(observed.driverPct)],
]

export function drawResult(result: Result): string {
  const { scenes, stuck } = result
  const line = (name: string, cells: readonly string[]): string => `  ${name.padEnd(36)}${cells.map((cell) => cell.padStart(15)).join('')}`
  const rows = ROWS.map(([name, of]) => line(name, scenes.map(of)))
  const names = new Set(scenes.flatMap(({ tally }) => [...tally.errors.keys()]))
  const errors = [...names].sort().map((name) => line(`  ${name.replace('LATCHKEY_', '')}`, scenes.map(({ tally }) => count(tally.errors.get(name) ?? 0))))
  const others = `  p99 of the others: ${fixed(stuck.stuckP99Ms)} ms while ${count(stuck.victims)} sessions were tied down (${count(stuck.waiting)} requests waited), ${fixed(stuck.idleP99Ms)} ms idle`
  const goals = goalsOf(result).map(({ is, isReached: isSo }) => `  ${isSo ? 'ok ' : 'NOT'} ${is}`)
  const verdict = isReached(result) ? 'Nothing was lost, and every goal is reached.' : 'That is not as it should be.'
  return ['', line('', scenes.map(({ name }) => name)), ...rows, line('errors', scenes.map(({ tally }) => count(tally.failed))), ...errors, '', others, '', ...goals, '', `  ${verdict}`, '', ''].join('\n')
}

function quantiles(hasWaited: boolean): Row[1] {
  return ({ ofUsers }) => {
    const samples = ofUsers.samples.filter((sample) => sample.hasWaited === hasWaited)
    return samples.length === 0 ? '-' : `${fixed(quantile(samples, 0.5))} / ${fixed(quantile(samples, 0.99))}`
  }
}

const count = (number: number): string => number.toLocaleString('en-US')
const fixed = (number: number, digits = 1): string => number.toFixed(digits)
const round = (number: number): number => Math.round(number * 100) / 100
