/**
 * A shop on three memcached nodes, each session on all of them (`replicas=3`), while one node dies, stands still, or comes
 * back empty: `npm run example:failover`.
 *
 * Exit code 0: where there are replicas nothing acknowledged was lost and nobody was logged out; 1: not so, or it could not run.
 */
import { runExample } from '../cluster/command-line.js'
import { paintFor } from '../demo/paint.js'
import { type Crowd, play, type Scene, SCENES } from './scene.js'
import type { Tally } from './visitor.js'

const USAGE = `Usage: npm run example:failover [-- --seconds N | --users N | --json | --help]

A shop whose sessions are on three memcached nodes (replicas=3), and visitors
who click. One node is killed; or stands still and comes back with what it had;
or comes back empty. Then the same where each session is on one node alone.

  --seconds N   how long each of the four scenes lasts (default 10)
  --users N     how many visitors there are (default 200)
  --json        print one JSON object and nothing else
  --help        print this

It starts memcached on free ports of 127.0.0.1.

Exit code: 0 with replicas nothing was lost, and nobody logged out; 1 otherwise
or when it could not run; 2 for a wrong argument; 130 after ctrl-C.`

const paint = paintFor(process.stderr, process.env)
const show = (text: string): void => void process.stderr.write(text)

const counted = ({ acknowledged, lost, loggedOut, refused, longestGapMs }: Tally): string =>
  `${acknowledged.toLocaleString('en')} clicks kept, ${String(lost)} lost, ${String(loggedOut)} logged out, ${String(refused)} refused, longest gap ${longestGapMs.toFixed(0)} ms`

const isKept = ({ acknowledged, lost, loggedOut }: Tally): boolean => acknowledged > 0 && lost === 0 && loggedOut === 0

async function playScene(scene: Scene, crowd: Crowd, signal: AbortSignal): Promise<Tally> {
  show(`\n  ${paint.bold(scene.name)}: ${scene.about}\n`)
  const tally = await play(scene, crowd, signal, {
    begins: (addresses) => show(`  memcached: ${addresses.join(' ')}\n`),
    goesOn: (sofar) => show(process.stderr.isTTY ? `\r  ${counted(sofar)}\x1b[K` : `  ${counted(sofar)}\n`),
  })
  const verdict = isKept(tally) ? paint.green('✓') : paint.red('✗')
  show(`${process.stderr.isTTY ? '\r' : ''}  ${verdict} ${counted(tally)}\n`)
  return { ...tally, longestGapMs: Math.round(tally.longestGapMs) }
}

async function playAll(isJson: boolean, signal: AbortSignal, crowd: Crowd): Promise<boolean> {
  const tallies = new Map<string, Tally>()
  for (const scene of SCENES) tallies.set(scene.name, await playScene(scene, crowd, signal))
  const areKept = SCENES.every(({ name, isReplicated }) => !isReplicated || isKept(tallies.get(name) ?? NOTHING))
  if (isJson) process.stdout.write(`${JSON.stringify(Object.fromEntries(tallies))}\n`)
  else process.stdout.write(`\n  ${verdictOf(areKept, tallies.get('ring') ?? NOTHING, crowd)}\n\n`)
  return areKept
}

const NOTHING: Tally = { acknowledged: 0, lost: 0, loggedOut: 0, refused: 0, longestGapMs: 0 }

const verdictOf = (areKept: boolean, ring: Tally, { users }: Crowd): string =>
  areKept
    ? `With replicas nothing was lost, and nobody was logged out. Without: ${String(ring.loggedOut)} of ${String(users)} visitors.`
    : 'With replicas something was lost, or somebody logged out. That is not as it should be.'

const numbers = { seconds: 10, users: 200 }
process.exitCode = await runExample({ name: 'failover', usage: USAGE, known: [], numbers, play: playAll }, process.argv.slice(2))
