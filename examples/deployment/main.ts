/**
 * An installation as it is deployed, and 1,000 users: `npm run example:deployment`. nginx with the configuration of
 * docs/guide/deploying, four processes of an Express application, memcached; everything that can happen to them happens.
 *
 * Exit code 0: no acknowledged change is lost, and a slow backend slows down nobody else; 1: not so, or it could not run.
 */
import { runExample } from '../cluster/command-line.js'
import { install, type Installation } from './installation.js'
import { NotInstalledError } from './programs.js'
import { drawResult, figuresOf, isReached, type Result, USAGE } from './report.js'
import { type Plan, type Played, playScene, type Stage } from './scene.js'
import { type Happened, playStorm } from './storm.js'
import { playStuck, type Stuck } from './stuck.js'
import { warmUp } from './warm-up.js'

const NUMBERS = { seconds: 60, users: 1000 }
/** One of so many users is tied down by the slow backend. */
const ONE_VICTIM_OF = 20

async function playAll(numbers: typeof NUMBERS, signal: AbortSignal, tell: (line: string) => void): Promise<Result> {
  const plan = (name: string, users = numbers.users): Plan => ({ name, users, seconds: numbers.seconds, signal, tell })
  const begin = async (servers: number): Promise<Installation> => {
    const installation = await install(servers, signal)
    const list = (addresses: readonly { readonly address: string }[]): string => addresses.map(({ address }) => address).join(', ')
    tell(`nginx ${installation.nginx.address}; in memcached ${list(installation.servers)}`)
    tell(`the application: ${list(installation.apps)}`)
    await warmUp(installation)
    return installation
  }
  const scenes: Played[] = []
  let stuck: Stuck | undefined
  let happened: readonly Happened[] = []
  {
    await using installation = await begin(1)
    scenes.push(await playScene(installation, plan('calm')))
    const victims = Math.ceil(numbers.users / ONE_VICTIM_OF)
    const script = async (stage: Stage): Promise<void> => {
      stuck = await playStuck(stage, victims)
    }
    scenes.push(await playScene(installation, plan('slow backend', numbers.users - victims), script))
  }
  {
    await using installation = await begin(3)
    const script = async (stage: Stage): Promise<void> => {
      happened = await playStorm(stage)
    }
    scenes.push(await playScene(installation, plan('storm'), script))
  }
  if (stuck === undefined) throw new Error('The scene of the slow backend was not played.')
  return { scenes, stuck, happened }
}

async function play(isJson: boolean, signal: AbortSignal, numbers: typeof NUMBERS): Promise<boolean> {
  const out = isJson ? process.stderr : process.stdout
  const result = await playAll(numbers, signal, (line) => void out.write(`  ${line}\n`))
  process.stdout.write(isJson ? `${JSON.stringify(figuresOf(result))}\n` : drawResult(result))
  return isReached(result)
}

process.exitCode = await runExample({ name: 'deployment', usage: USAGE, known: [NotInstalledError], numbers: NUMBERS, play }, process.argv.slice(2))
