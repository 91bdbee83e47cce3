/** `npm run demo -- --page`: the race in latchkey's live page, without the lock and with it, side by side and slow enough to follow. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { promisify } from 'node:util'
import { SessionManager } from 'latchkey'
import { createInspector } from 'latchkey/inspector'
import { portOf, viewPage } from './play.js'
import { createShop } from './shop.js'
import type { Store } from './store.js'

/** How many times slower than the shop of the terminal. */
const SLOWER = 8
const SOON_MS = 700

/** One shop, open until the end. */
interface Open {
  readonly manager: SessionManager
  readonly server: Server
}

/** Serves the page until the signal. @param print says where it is. */
export async function showPage(store: Store, signal: AbortSignal, opens: boolean, print: (line: string) => void): Promise<void> {
  // A copy of the repository that was not built yet has no page.
  if (!existsSync('src/adapters/inspector/page-files.js')) await promisify(execFile)(process.execPath, ['--import', 'tsx', 'page/build.ts', 'beside'])
  const shops = [await openShop(store, false, signal), await openShop(store, true, signal)]
  const play = player(shops.map(({ server }) => portOf(server)), signal, print)
  const inspector = createInspector(shops.map(({ manager }) => manager), {
    path: '/demo',
    names: ['Without the lock', 'With the lock'],
    replay: { label: 'Play it again', run: play },
  })
  const mounted = inspector.express()
  const server = createServer((req, res) => {
    // The first who looks sees the race from its beginning.
    if (req.url === '/demo/events') setTimeout(play, SOON_MS)
    mounted(req, res, () => res.writeHead(404).end('See /demo\n'))
  }).listen(0, '127.0.0.1')
  try {
    await once(server, 'listening', { signal })
    const url = `http://127.0.0.1:${String(portOf(server))}/demo/`
    print(`The race is at ${url}  (Ctrl-C ends)`)
    if (opens) openBrowser(url, print)
    if (!signal.aborted) await once(signal, 'abort')
  } finally {
    inspector.close()
    await Promise.all([server, ...shops.map((shop) => shop.server)].map(closed))
    await Promise.all(shops.map(({ manager }) => manager.close({ graceMs: 0 })))
  }
  signal.throwIfAborted()
}

async function openShop(store: Store, locking: boolean, signal: AbortSignal): Promise<Open> {
  const manager = new SessionManager({ ...store.options, locking })
  const server = createShop(manager, signal, SLOWER).listen(0, '127.0.0.1')
  await once(server, 'listening', { signal })
  return { manager, server }
}

/** Lets one browser look at the page of each shop, in step. One play at a time. */
function player(ports: readonly number[], signal: AbortSignal, print: (line: string) => void): () => void {
  let isPlaying = false
  return () => {
    if (isPlaying || signal.aborted) return
    isPlaying = true
    Promise.all(ports.map((port) => viewPage(port, signal)))
      .then((views) => {
        const kept = views.map(({ visits, kept }) => `${String(visits.filter(({ writes }) => kept.includes(writes)).length)} of ${String(visits.length)}`)
        print(`Kept without the lock: ${kept[0] ?? ''} changes, with it: ${kept[1] ?? ''}.`)
      })
      .catch((error: unknown) => {
        if (!signal.aborted) print(error instanceof Error ? error.message : String(error))
      })
      .finally(() => {
        isPlaying = false
      })
  }
}

const closed = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => {
      resolve()
    })
    server.closeAllConnections()
  })

const OPENERS: Partial<Record<NodeJS.Platform, readonly [string, ...string[]]>> = { darwin: ['open'], win32: ['cmd', '/c', 'start'] }

function openBrowser(url: string, print: (line: string) => void): void {
  const [command, ...args] = OPENERS[process.platform] ?? ['xdg-open']
  spawn(command, [...args, url], { stdio: 'ignore', detached: true })
    .on('error', () => print(`No browser could be opened (${command}): open the address yourself.`))
    .unref()
}
