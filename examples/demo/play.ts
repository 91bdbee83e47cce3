/** The play: a shop without the lock, then one with it, the page in one browser and a bystander in another. */
import { once } from 'node:events'
import type { Server } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { SessionManager } from 'latchkey'
import { type Answer, Browser } from './browser.js'
import { type Beat, p99Ms, watched } from './bystander.js'
import { createShop } from './shop.js'
import type { Store } from './store.js'

/** What the page asks for, and the name under which each request keeps its change in the session. */
const LOGIN = { method: 'POST', path: '/login', writes: 'user' } as const
const AT_ONCE = [
  { method: 'GET', path: '/preferences', writes: 'preferences' },
  { method: 'GET', path: '/notifications', writes: 'notifications' },
  { method: 'POST', path: '/cart', writes: 'cart' },
] as const

const PAGE_VIEWS = 3
const PAUSE_MS = 60
const WARM_UP_MS = 300
const ALONE_MS = 1200

type Step = typeof LOGIN | (typeof AT_ONCE)[number]
export type Visit = Answer & Step

/** One browser's page view: a log-in, then three requests at once. */
export interface PageView {
  readonly startedAtMs: number
  readonly visits: readonly Visit[]
  /** What the session held when everything had been answered. */
  readonly kept: readonly string[]
}

export interface Act {
  readonly locking: boolean
  readonly views: readonly PageView[]
  /** Changes that were answered 200. */
  readonly expected: number
  /** Of those, how many the session still held. */
  readonly kept: number
  /** The second browser's requests in the meantime. */
  readonly beats: readonly Beat[]
}

export interface Figures {
  readonly unlocked: Act
  readonly locked: Act
  readonly bystander: { readonly p99Ms: number; readonly p99AloneMs: number }
}

export interface Audience {
  actBegins(locking: boolean): void
  actEnds(act: Act): void
}

export async function perform(store: Store, signal: AbortSignal, audience: Audience): Promise<Figures> {
  const unlocked = await inShop(store, false, signal, async (port, bystander) => {
    audience.actBegins(false)
    return playAct(false, port, bystander, signal)
  })
  audience.actEnds(unlocked)

  const { locked, alone } = await inShop(store, true, signal, async (port, bystander) => {
    audience.actBegins(true)
    await watched(bystander, () => delay(WARM_UP_MS, undefined, { signal }))
    const { beats } = await watched(bystander, () => delay(ALONE_MS, undefined, { signal }))
    return { locked: await playAct(true, port, bystander, signal), alone: beats }
  })
  audience.actEnds(locked)

  return { unlocked, locked, bystander: { p99Ms: p99Ms(locked.beats), p99AloneMs: p99Ms(alone) } }
}

async function playAct(locking: boolean, port: number, bystander: Browser, signal: AbortSignal): Promise<Act> {
  const { result: views, beats } = await watched(bystander, async () => {
    const seen: PageView[] = []
    for (let n = 0; n < PAGE_VIEWS; n++) {
      seen.push(await viewPage(port, signal))
      await delay(PAUSE_MS, undefined, { signal })
    }
    return seen
  })
  const changes = views.flatMap(({ visits, kept }) => visits.map(({ writes }) => kept.includes(writes)))
  return { locking, views, beats, expected: changes.length, kept: changes.filter((isKept) => isKept).length }
}

/** One browser, new to the shop, looks at the page. */
export async function viewPage(port: number, signal: AbortSignal): Promise<PageView> {
  const browser = new Browser(port, signal)
  const visit = async (step: Step): Promise<Visit> => ({ ...step, ...(await browser.send(step.method, step.path)) })
  try {
    const startedAtMs = performance.now()
    const login = await visit(LOGIN)
    const rest = await Promise.all(AT_ONCE.map(visit))
    const { session } = await browser.send('GET', '/session')
    return { startedAtMs, visits: [login, ...rest], kept: session }
  } finally {
    browser.close()
  }
}

/** Opens a shop on a free loopback port for as long as `work` takes, with a second browser in it. */
async function inShop<T>(
  store: Store,
  locking: boolean,
  signal: AbortSignal,
  work: (port: number, bystander: Browser) => Promise<T>,
): Promise<T> {
  const manager = new SessionManager({ ...store.options, locking })
  const server = createShop(manager, signal).listen(0, '127.0.0.1')
  let bystander: Browser | undefined
  try {
    await once(server, 'listening', { signal })
    const port = portOf(server)
    bystander = new Browser(port, signal)
    await bystander.send('POST', '/beat')
    return await work(port, bystander)
  } finally {
    bystander?.close()
    server.close()
    server.closeAllConnections()
    await manager.close({ graceMs: 0 })
  }
}

export function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The shop listens on no port.')
  return address.port
}
