import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Town } from './browser.js'
import { Crowd } from './crowd.js'
import type { Installation } from './installation.js'
import { type Account, Ledger } from './ledger.js'
import { Observation, type Observed } from './observation.js'
import { Site } from './site.js'
import { Store } from './store.js'
import { Tally } from './tally.js'
import { Turnstile } from './turnstile.js'

/** A scene and its stage: what its script may do with it. */
export interface Stage extends Town {
  readonly installation: Installation
  readonly store: Store
  readonly seconds: number
  /** For people, while it is played. */
  tell(line: string): void
  /** The same town for visitors whose requests are counted apart from those of the others. */
  apart(): Town
}

export interface Plan {
  readonly name: string
  readonly users: number
  readonly seconds: number
  readonly signal: AbortSignal
  tell(line: string): void
}

export interface Played {
  readonly name: string
  readonly users: number
  readonly servers: number
  readonly poolMax: number
  /** Of all requests. */
  readonly tally: Tally
  /** Of the users', without those whom the script played apart. */
  readonly ofUsers: Tally
  readonly account: Account
  readonly observed: Observed
}

const TOLD_EVERY_MS = 10_000

/** Users come and go, for some seconds and until the script has ended; then every session is looked into. */
export async function playScene(installation: Installation, plan: Plan, script: (stage: Stage) => Promise<void> = async () => undefined): Promise<Played> {
  const { name, users, seconds, tell } = plan
  const signal = AbortSignal.any([plan.signal, installation.failed])
  setMaxListeners(0, signal)
  const site = new Site(installation.nginx.url)
  const tally = new Tally()
  const ledger = new Ledger()
  await using store = new Store(installation.servers)
  const town: Town = { site, ledger, tally, turnstile: new Turnstile(), signal }
  const apart: Tally[] = []
  const stage: Stage = {
    ...town, installation, store, seconds, tell,
    apart: () => {
      const own = new Tally()
      apart.push(own)
      return { ...town, tally: own }
    },
  }
  tell(`${name}: ${String(users)} users, ${String(seconds)} s`)
  const over = new AbortController()
  const observation = new Observation(installation)
  const walking = new Crowd(stage, users).walk(AbortSignal.any([over.signal, signal]))
  const goHome = (): void => {
    installation.backend.recover()
    site.close()
  }
  signal.addEventListener('abort', goHome)
  const ticker = setInterval(() => tell(`${name}: ${String(tally.requests)} requests, ${String(tally.failed)} errors`), TOLD_EVERY_MS)
  const playing = await Promise.allSettled([sleep(seconds * 1000, undefined, { signal }), script(stage)])
  clearInterval(ticker)
  over.abort()
  await walking
  const observed = await observation.end()
  signal.removeEventListener('abort', goHome)
  signal.throwIfAborted()
  const [, scripted] = playing
  if (scripted.status === 'rejected') throw scripted.reason
  const account = await ledger.check(store)
  site.close()
  const { poolMax, servers } = installation
  return { name, users, servers: servers.length, poolMax, tally: Tally.of([tally, ...apart]), ofUsers: tally, account, observed }
}
