/**
 * The soak: real processes on real memcached servers, a Redis, or a disk, tormented at random, and every acknowledged change accounted for.
 * Exits with 1 if latchkey lost, made up or confused anything; what a restarted server forgot is told apart from that.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { EXIT } from '../src/cli/report.js'
import { SeededRandom } from '../src/testing/index.js'
import { latchkey } from '../test/cli/tool.js'
import { MemcachedServer } from '../test/support/memcached-server.js'
import { RedisProcess } from '../test/support/redis-server.js'
import type { ServerProcess } from '../test/support/server-process.js'
import { Crew } from './crew.js'
import { Judge } from './judge.js'
import { sessionOf } from './messages.js'
import { parseOptions, type SoakOptions, USAGE } from './options.js'
import { Tormentor } from './tormentor.js'

const EPOCH_MS = 15_000
/** After an epoch: a visitor that was late to hear of it, and waited for its session, has begun by then. */
const SETTLE_MS = 18_000
const END_WITHIN_MS = 20_000
/** Between one run of the repair and the next, while a server that it needs is stopped, or somebody holds a session. */
const REPAIR_AGAIN_MS = 500
const REPAIR_WITHIN_MS = 120_000

async function soak(options: SoakOptions): Promise<boolean> {
  const { minutes, seed, processes, sessions } = options
  const say = (text: string): void => void process.stderr.write(`${text}\n`)
  const cast = `${String(processes)} processes, ${options.savePath ?? `${String(options.servers)} ${options.engine}, ${String(options.replicas)} of them for each session`}`
  say(`soak: ${String(minutes)} minutes, ${cast}, seed ${String(seed)}`)
  const start = (): Promise<ServerProcess> => (options.engine === 'redis' ? RedisProcess.start() : MemcachedServer.start({ args: ['-m', '256'] }))
  const servers = await Promise.all(Array.from({ length: options.servers }, start))
  const isReplicated = options.replicas > 1
  const addresses = servers.map(({ address }) => `${options.engine === 'redis' ? 'redis' : 'tcp'}://${address}`).join(',')
  const savePath = options.savePath ?? (isReplicated ? `${addresses}?replicas=${String(options.replicas)}` : addresses)
  // One server that forgets all excuses nothing where others have it.
  const judge = new Judge(savePath, (server) => (isReplicated ? [] : (tormentor.restarts[server] ?? [])))
  const crew = new Crew({
    ...{ size: processes, savePath, sessions, seed, locking: !options.unsafe },
    onMessage: (message, worker) => judge.hear(message, worker),
    onDied: (worker) => judge.onDied(worker),
  })
  const tormentor = new Tormentor(servers, crew, new SeededRandom(seed), isReplicated ? () => repair(savePath) : undefined)
  await Promise.all(Array.from({ length: processes }, (_, index) => crew.start(index)))
  tormentor.begin()
  const endMs = performance.now() + minutes * 60_000
  const judging: Promise<void>[] = []
  let epoch = 0
  const judgeEpoch = async (which: number): Promise<void> => {
    await judge.judge(Array.from({ length: sessions }, (_, index) => sessionOf(which, index)))
  }
  while (performance.now() < endMs) {
    await sleep(Math.min(EPOCH_MS, Math.max(0, endMs - performance.now())))
    if (performance.now() < endMs) {
      const last = epoch
      crew.enter(++epoch)
      judging.push(sleep(SETTLE_MS).then(() => judgeEpoch(last)))
    }
    say(progress(judge, tormentor, Math.max(0, endMs - performance.now())))
  }
  await tormentor.rest()
  for (const worker of await crew.stop(END_WITHIN_MS)) judge.violations.push(`${worker} did not end by itself`)
  await Promise.all(judging)
  await judgeEpoch(epoch)
  await judge.close()
  await Promise.all(servers.map((server) => server.stop()))
  return report(options, judge, tormentor, say)
}

/** As an operator does it, and not by use alone: a session that nobody visits meanwhile is refused as soon as another server stops. */
async function repair(savePath: string): Promise<void> {
  const untilMs = performance.now() + REPAIR_WITHIN_MS
  while ((await latchkey(['repair', '--save-path', savePath])).exitCode !== EXIT.fine) {
    if (performance.now() > untilMs) throw new Error(`latchkey repair has not put everything back in ${String(REPAIR_WITHIN_MS)} ms`)
    await sleep(REPAIR_AGAIN_MS)
  }
}

function progress({ figures, violations }: Judge, { torments }: Tormentor, leftMs: number): string {
  const { acknowledged, refused, unknown, unserved, sessions, renewed, strict, excused } = figures
  const changes = `${String(acknowledged)} acknowledged, ${String(refused)} refused, ${String(unknown)} unknown`
  const judged = `${String(sessions)} sessions judged (${String(renewed)} renewals), ${String(strict)} changes strictly, ${String(excused)} excused`
  const pauses = torments.serverPauses + torments.processPauses
  const done = `${String(pauses)} pauses, ${String(torments.processKills)} kills, ${String(torments.serverRestarts)} restarts`
  return (
    `${(leftMs / 1000).toFixed(0).padStart(5)} s left: ${changes}, ${String(unserved)} unserved; ` +
    `${judged}; ${done}; ${String(violations.length)} violations`
  )
}

function report(options: SoakOptions, judge: Judge, { torments }: Tormentor, say: (text: string) => void): boolean {
  const { minutes, seed, processes, servers } = options
  const { figures, violations } = judge
  // A soak in which hardly anything was acknowledged, or all of it could be excused, has shown nothing.
  const isTelling = figures.acknowledged >= figures.operations / 2 && figures.strict >= figures.acknowledged / 10
  if (!isTelling) violations.push('too little was acknowledged, or strictly judged, for this to mean anything')
  for (const text of violations.slice(0, 50)) say(`VIOLATION ${text}`)
  const result = { minutes, seed, processes, servers, ...figures, torments, lost: violations.length, violations }
  if (options.json) process.stdout.write(`${JSON.stringify(result, undefined, 2)}\n`)
  else if (violations.length === 0) say('Nothing was lost by latchkey.')
  else say(`${String(violations.length)} violations (seed ${String(seed)}).`)
  return violations.length === 0
}

try {
  const options = parseOptions(process.argv.slice(2))
  if (options === 'help') process.stdout.write(`${USAGE}\n`)
  else process.exitCode = (await soak(options)) ? 0 : 1
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}\n`)
  // At once: the processes of the crew are alive, and would keep this one so.
  process.exit(2)
}
