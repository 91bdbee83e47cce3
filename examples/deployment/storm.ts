import { setTimeout as sleep } from 'node:timers/promises'
import type { AppProcess } from './app-process.js'
import type { Stage } from './scene.js'

/** So long a program is away before it is started again: systemd's RestartSec. */
const AWAY_MS = 1000

/** Everything that happens to an installation, one thing after the other: parts of the scene's time after which each begins. */
const EVENTS: readonly (readonly [number, (stage: Stage) => Promise<void>])[] = [
  [0.1, killProcess],
  [0.3, restartMemcached],
  [0.5, reloadNginx],
  [0.6, roll],
]

export async function playStorm(stage: Stage): Promise<void> {
  const beganMs = performance.now()
  for (const [part, play] of EVENTS) {
    const untilMs = beganMs + part * stage.seconds * 1000
    await sleep(Math.max(0, untilMs - performance.now()), undefined, { signal: stage.signal })
    await play(stage)
  }
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
