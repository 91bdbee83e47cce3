import { setTimeout as sleep } from 'node:timers/promises'
import type { AppProcess } from './app-process.js'
import type { Stage } from './scene.js'

/** So long a program is away before it is started again: systemd's RestartSec. */
const AWAY_MS = 1000

interface Event {
  readonly name: string
  /** The part of the scene's time after which it begins, if what came before is over. */
  readonly at: number
  /** Visitors may notice it: what was under way in a process that is killed, or was to be stored on a memcached that is away. */
  readonly mayFail: boolean
  play(stage: Stage): Promise<void>
}

/** Everything that happens to an installation, one thing after the other. */
const EVENTS: readonly Event[] = [
  { name: 'nginx is reloaded', at: 0.05, mayFail: false, play: reloadNginx },
  { name: 'the application is rolled', at: 0.1, mayFail: false, play: roll },
  { name: 'a process is killed', at: 0.6, mayFail: true, play: killProcess },
  { name: 'a memcached is restarted', at: 0.75, mayFail: true, play: restartMemcached },
]

/** What happened, and how many requests were answered with an error meanwhile. */
export interface Happened {
  readonly name: string
  readonly mayFail: boolean
  readonly errors: number
}

export async function playStorm(stage: Stage): Promise<readonly Happened[]> {
  const { seconds, signal, tally } = stage
  const beganMs = performance.now()
  const happened: Happened[] = []
  for (const { name, at, mayFail, play } of EVENTS) {
    const untilMs = beganMs + at * seconds * 1000
    await sleep(Math.max(0, untilMs - performance.now()), undefined, { signal })
    const before = tally.failed
    await play(stage)
    happened.push({ name, mayFail, errors: tally.failed - before })
  }
  return happened
}

async function killProcess({ installation: { apps }, signal, tell }: Stage): Promise<void> {
  const [app] = apps as [AppProcess]
  tell(`kill -9: the process on port ${String(app.port)}`)
  await app.kill()
  await sleep(AWAY_MS, undefined, { signal })
  await app.start(signal)
  tell('it is back')
}

async function restartMemcached({ installation: { servers }, ledger, signal, store, tell, turnstile }: Stage): Promise<void> {
  const at = 1 % servers.length
  const server = servers[at]
  if (server === undefined) return
  // Nobody begins a session between the look at who lives there and its end.
  const census = await turnstile.closedFor(async () => {
    const found = await store.census(ledger.sessions)
    await server.kill()
    return found
  })
  const there = [...census.values()].filter((place) => place === at).length
  tell(`kill -9: memcached ${server.address}, with ${String(there)} of ${String(census.size)} sessions`)
  await sleep(AWAY_MS, undefined, { signal })
  ledger.noteRestart({ census, server: at, emptySinceMs: performance.now() })
  await server.start(signal)
  tell('it is back, and empty: those visitors begin anew')
}

async function reloadNginx({ installation: { nginx }, tell }: Stage): Promise<void> {
  tell('nginx -s reload')
  await nginx.reload()
}

/** As docs/guide/deploying.md has it: out of nginx, SIGTERM, the new one, ready, back into nginx. */
async function roll({ installation: { apps, watch }, signal, tell }: Stage): Promise<void> {
  for (const [at, app] of apps.entries()) {
    tell(`rolling process ${String(at + 1)} of ${String(apps.length)}`)
    await watch.drain(app)
    await app.stop()
    await app.start(signal)
    await watch.restore(app)
  }
}
