import { createServer } from 'node:http'
import type { Express, Request, RequestHandler } from 'express'
import session, { MemoryStore, type SessionOptions } from 'express-session'
import { SessionManager } from 'latchkey'
import { latchkey } from 'latchkey/express'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { thirdOf } from '../../support/matrix.js'
import { Browser } from './browser.js'
import { EXPRESSES, portOf, SECRET, visit } from './site.js'

/** Every combination of express-session's options, played on its own MemoryStore and on latchkey: nothing may differ. */

const COMBINATIONS = [true, false].flatMap((saveUninitialized) =>
  [true, false].flatMap((resave) =>
    [true, false].flatMap((rolling) =>
      (['keep', 'destroy'] as const).flatMap((unset) =>
        [undefined, 60_000].map((maxAge) => ({ saveUninitialized, resave, rolling, unset, cookie: maxAge === undefined ? {} : { maxAge } })),
      ),
    ),
  ),
)

/** What each request does; one story a browser. */
const STORIES: readonly (readonly string[])[] = [
  ['look', 'look'],
  ['change', 'look', 'change', 'look'],
  ['change', 'null', 'look'],
  ['null', 'look'],
  ['change', 'destroy', 'look'],
  ['destroy', 'look'],
  ['change', 'regenerate', 'look'],
  ['change', 'regenerate-empty', 'look'],
  ['save', 'save', 'look'],
  ['change', 'save-and-change', 'look'],
  ['change', 'reload', 'look'],
  ['change', 'touch', 'look'],
  ['change', 'throw', 'look'],
  ['change', 'write', 'look', 'write'],
  ['change', 'expire', 'look'],
  ['change', 'longer', 'look'],
  ['write', 'look'],
]

const handlers: Record<string, RequestHandler> = {
  look: (_req, res) => void res.json({}),
  change: (req, res) => void (count(req), res.json({})),
  null: (req, res) => void (Object.assign(req, { session: null }), res.json({})),
  destroy: (req, res) => void req.session.destroy(() => res.json({})),
  regenerate: (req, res) => void req.session.regenerate(() => (count(req), res.json({}))),
  'regenerate-empty': (req, res) => void req.session.regenerate(() => res.json({})),
  save: (req, res) => void (count(req), req.session.save(() => res.json({}))),
  'save-and-change': (req, res) => void (count(req), req.session.save(() => (count(req), res.json({})))),
  reload: (req, res) => void (count(req), req.session.reload(() => res.json({}))),
  touch: (req, res) => void (req.session.touch(), res.json({})),
  throw: (req) => {
    count(req)
    throw new Error('a bug')
  },
  write: (req, res) => void (count(req), res.write('first'), res.end('last')),
  expire: (req, res) => void ((req.session.cookie.expires = new Date(0)), count(req), res.json({})),
  longer: (req, res) => void ((req.session.cookie.maxAge = 120_000), res.json({})),
}

const count = (req: Request): void => {
  visit(req).n = (visit(req).n ?? 0) + 1
}

/** What a browser and an onlooker of the store see after a request. Ids are named in the order in which they appear. */
interface Sight {
  readonly request: string
  readonly status: number
  readonly setCookie: string | undefined
  readonly stored: Record<string, unknown>
}

type Mount = (options: Omit<SessionOptions, 'store'>) => {
  readonly middleware: RequestHandler
  readonly get: (sid: string) => Promise<object | null | undefined>
  readonly close: () => Promise<void>
}

const onMemoryStore: Mount = (options) => {
  const store = new MemoryStore()
  return {
    middleware: session({ ...options, store }),
    get: (sid) => new Promise((resolve) => store.get(sid, (_error, data) => resolve(data))),
    close: () => Promise.resolve(),
  }
}

const onLatchkey: Mount = (options) => {
  const manager = new SessionManager()
  const middleware = latchkey({ manager, ...options })
  return {
    middleware,
    get: async (sid) => {
      expect(await manager.holder(sid)).toBeUndefined()
      return middleware.store.get(sid)
    },
    close: () => {
      expect(manager.stats()).toMatchObject({ held: 0, waiting: 0 })
      return manager.close()
    },
  }
}

async function play(mount: Mount, framework: () => Express, options: Omit<SessionOptions, 'secret' | 'store'>): Promise<Sight[][]> {
  const { middleware, get, close } = mount({ secret: SECRET, ...options })
  const app = framework()
  app.set('env', 'test')
  app.use(middleware)
  for (const [name, handler] of Object.entries(handlers)) app.get(`/${name}`, handler)
  const server = createServer(app)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const sights = await Promise.all(STORIES.map((story) => playStory(story, new Browser(portOf(server)), get)))
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await close()
  return sights
}

async function playStory(story: readonly string[], browser: Browser, get: (sid: string) => Promise<object | null | undefined>): Promise<Sight[]> {
  const sids: string[] = []
  const sights: Sight[] = []
  for (const request of story) {
    const { status, setCookies } = await browser.get(`/${request}`)
    if (browser.sid !== '' && !sids.includes(browser.sid)) sids.push(browser.sid)
    const stored = await Promise.all(sids.map(async (sid, at) => [`session ${String(at)}`, normal(await get(sid))]))
    const setCookie = setCookies[0]?.replace(/=s%3A[^;]*/, `=session ${String(sids.indexOf(browser.sid))}`)
    sights.push({ request, status, setCookie: setCookie?.replace(/Expires=([^;]*)/, (_all, date: string) => `Expires ${near(date)}`), stored: Object.fromEntries(stored) })
  }
  browser.close()
  return sights
}

/** The session as it is stored, its dates counted from now. */
function normal(data: object | null | undefined): unknown {
  if (data === null || data === undefined) return null
  return JSON.parse(JSON.stringify(data), (key, value: unknown) =>
    key === 'expires' && typeof value === 'string' ? near(value) : value,
  )
}

const near = (date: string): string => Date.parse(date) === 0 ? '1970' : `in ${String((Date.parse(date) - Date.now()) / 1000)} s`

// The day stands still: both count from the same moment, however long a request takes.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: 1_800_000_000_000 })
})
afterEach(() => {
  vi.useRealTimers()
})

describe.each(EXPRESSES)('%s', (_name, framework) => {
  it.each(thirdOf(COMBINATIONS).map((options) => [JSON.stringify(options), options] as const))('%s', async (_text, options) => {
    const [expected, actual] = await Promise.all([
      play(onMemoryStore, framework, { ...options, cookie: { ...options.cookie } }),
      play(onLatchkey, framework, { ...options, cookie: { ...options.cookie } }),
    ])
    expect(actual).toEqual(expected)
  })
})
