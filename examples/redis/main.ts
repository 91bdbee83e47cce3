/**
 * A shop whose sessions are on Redis with Sentinel: `npm run example:redis`. Visitors fill their carts while the primary is
 * killed, and while the next one stands still and comes back; first without WAIT, then with it.
 *
 * Exit code 0: with WAIT nothing was lost that had been acknowledged, and service went on; 1: not so, or it could not run.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { runExample } from '../cluster/command-line.js'
import { NotInstalledError } from '../deployment/programs.js'
import { Crowd } from './crowd.js'
import { checkPrograms, Redis } from './redis.js'
import { openShop } from './shop.js'

const USAGE = `Usage: npm run example:redis [-- --json | --users n | --seconds n | --help]

A shop on Redis with three Sentinels, one primary and two replicas, which are
a little behind. Visitors click; the primary is killed, and the next one stands
still and comes back. First without WAIT, then with it (replicas=1).

  --users n     so many visitors (200)
  --seconds n   of calm before and after each (3)
  --json        print one JSON object and nothing else; progress on stderr
  --help        print this

Needed: redis-server and redis-sentinel (apt-get install redis-server
redis-sentinel). All listens on free ports of 127.0.0.1.

Exit code: 0 with WAIT nothing was lost; 1 otherwise or when it could not run;
2 for a wrong argument; 130 after ctrl-C.`

interface Figures {
  readonly acknowledged: number
  readonly lost: number
  readonly longestGapMs: number
}

interface Scene {
  readonly query: string
  readonly users: number
  readonly calmMs: number
  readonly signal: AbortSignal
  readonly tell: (line: string) => void
}

const LIVE_MS = 1000

async function play({ query, users, calmMs, signal, tell }: Scene): Promise<Figures> {
  const redis = new Redis(signal)
  try {
    await redis.start()
    tell(`redis-server and redis-sentinel: ${redis.addresses.join(' ')}`)
    const shop = await openShop(redis.savePath + query)
    try {
      const crowd = new Crowd(shop.origin, users, signal)
      const show = (what: string): void =>
        tell(`${what.padEnd(34)} acknowledged ${String(crowd.acknowledged)}  lost ${String(crowd.lost)}  refused ${String(crowd.refused)}`)
      await crowd.during(async () => {
        const live = setInterval(() => show(''), LIVE_MS)
        try {
          await trouble(redis, calmMs, signal, show)
        } finally {
          clearInterval(live)
        }
      })
      show('every cart was looked into')
      return { acknowledged: crowd.acknowledged, lost: crowd.lost, longestGapMs: Math.round(crowd.longestGapMs) }
    } finally {
      await shop.close()
    }
  } finally {
    await redis.end()
  }
}

async function trouble(redis: Redis, calmMs: number, signal: AbortSignal, show: (what: string) => void): Promise<void> {
  const calm = (): Promise<void> => sleep(calmMs, undefined, { signal })
  await calm()
  const first = await redis.primary()
  show(`the primary, ${String(first)}, is killed`)
  await redis.kill(first)
  const second = await redis.movedFrom(first)
  show(`${String(second)} is the primary`)
  await redis.comesBack(first, second)
  await calm()
  show(`the primary, ${String(second)}, stands still`)
  redis.stop(second)
  const third = await redis.movedFrom(second)
  show(`${String(third)} is the primary`)
  await redis.resume(second, third)
  show(`${String(second)} goes on`)
  await calm()
}

async function playBoth(isJson: boolean, signal: AbortSignal, { users, seconds }: { readonly users: number; readonly seconds: number }): Promise<boolean> {
  await checkPrograms()
  const tell = (line: string): void => void (isJson ? process.stderr : process.stdout).write(`  ${line}\n`)
  const scene = { users, calmMs: seconds * 1000, signal, tell }
  tell(`${String(users)} visitors, without WAIT:`)
  const plain = await play({ ...scene, query: '' })
  tell(`${String(users)} visitors, with WAIT (replicas=1):`)
  const wait = await play({ ...scene, query: '?replicas=1' })
  if (isJson) process.stdout.write(`${JSON.stringify({ wait, plain })}\n`)
  else process.stdout.write(drawn(plain, wait))
  return wait.lost === 0 && wait.acknowledged > 0 && plain.acknowledged > 0
}

function drawn(plain: Figures, wait: Figures): string {
  const row = (name: string, { acknowledged, lost, longestGapMs }: Figures): string =>
    `  ${name.padEnd(14)}${String(acknowledged).padStart(14)}${String(lost).padStart(8)}${`${String(longestGapMs)} ms`.padStart(16)}`
  const verdict = wait.lost === 0 ? 'With WAIT, nothing that was acknowledged is lost.' : 'With WAIT, something was lost. That is not as it should be.'
  return ['', `${' '.repeat(16)}  acknowledged    lost     longest gap`, row('without WAIT', plain), row('with WAIT', wait), '', `  ${verdict}`, '', ''].join('\n')
}

process.exitCode = await runExample(
  { name: 'redis', usage: USAGE, known: [NotInstalledError], numbers: { users: 200, seconds: 3 }, play: playBoth },
  process.argv.slice(2),
)
