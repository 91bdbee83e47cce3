import { readFileSync } from 'node:fs'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Request, RequestHandler, Response } from 'express'
import { SessionManager } from 'latchkey'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ExpressStore } from '../../../src/adapters/express/express-store.js'
import type { Browser } from './browser.js'
import { endSitesAfterEach, EXPRESSES, Site, type SiteOptions, visit } from './site.js'
import { storesRecord } from './tap-wire.js'
import { inWords, played } from '../in-words.js'

/** The table of docs/reference/adapters.md, row by row: what it says is what happens. */

endSitesAfterEach()

interface Scenario {
  readonly options?: SiteOptions
  /** At its end it calls `probe`, and then answers. */
  readonly handler?: (req: Request, res: Response, probe: () => void, next: (error?: unknown) => void) => unknown
  /** In place of one request of a visitor to the handler. */
  readonly ask?: (site: Site, visitor: Browser) => Promise<{ status: number } | undefined>
}

const change = (req: Request): void => void (visit(req).n = 1)
const respond = (_req: Request, res: Response, probe: () => void): void => {
  probe()
  res.json({})
}
const changing: Scenario['handler'] = (req, res, probe) => {
  change(req)
  respond(req, res, probe)
}
const reading: SiteOptions = { readOnly: ({ url }) => url === '/it' }

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'no cookie, nothing to store': { handler: respond, ask: (site) => site.browser().get('/it') },
  'no cookie, something to store': { handler: changing, ask: (site) => site.browser().get('/it') },
  'a cookie whose record is missing': {
    handler: respond,
    ask: async (site, visitor) => {
      await site.middleware.store.destroy(visitor.sid)
      site.wire?.flights.splice(0)
      return visitor.get('/it')
    },
  },
  unmodified: { handler: respond },
  'unmodified, `disableTouch`': { options: { disableTouch: true }, handler: respond },
  'unmodified, `resave: true`': { options: { resave: true }, handler: respond },
  modified: { handler: changing },
  'modified, HEAD': { handler: changing, ask: (_site, visitor) => visitor.get('/it', { method: 'HEAD' }) },
  'modified, a redirect': {
    handler: (req, res, probe) => {
      change(req)
      probe()
      res.redirect('/show')
    },
  },
  '`req.session.save()`': {
    handler: (req, res, probe, next) => {
      change(req)
      req.session.save((error: unknown) => (error === null ? respond(req, res, probe) : next(error)))
    },
  },
  '`req.session.reload()`': {
    handler: (req, res, probe, next) => req.session.reload((error: unknown) => (error === undefined ? respond(req, res, probe) : next(error))),
  },
  '`req.session.regenerate()`': {
    handler: (req, res, probe, next) =>
      req.session.regenerate((error: unknown) => {
        if (error !== null) return next(error)
        change(req)
        respond(req, res, probe)
      }),
  },
  '`req.session.destroy()`': { handler: (req, res, probe) => req.session.destroy(() => respond(req, res, probe)) },
  "`req.session = null`, `unset: 'destroy'`": { options: { unset: 'destroy' }, handler: forgetting },
  "`req.session = null`, `unset: 'keep'`": { options: { unset: 'keep' }, handler: forgetting },
  '`req.session.release()`': {
    handler: async (req, res, probe) => {
      change(req)
      await req.session.release()
      respond(req, res, probe)
    },
  },
  'read-only': { options: reading, handler: respond },
  'read-only, and changed': { options: reading, handler: changing },
  'a retired copy': {
    options: { managerOptions: { retiredCopySec: 60 } },
    handler: respond,
    ask: async (site, visitor) => {
      await site.manager.run(visitor.sid, (session) => session.regenerate())
      site.wire?.flights.splice(0)
      return visitor.get('/it')
    },
  },
  'the handler throws': {
    handler: (req, _res, probe) => {
      change(req)
      probe()
      throw new Error('a bug')
    },
  },
  'the lock does not come in time': {
    options: { managerOptions: { waitMs: 0 } },
    ask: async (site, visitor) => {
      const elsewhere = new SessionManager(site.wire === undefined ? {} : { wire: site.wire.inner })
      const holder = await elsewhere.start(visitor.sid)
      const answer = await visitor.get('/it')
      await holder.release()
      return answer
    },
  },
  'the save is refused': {
    handler: changing,
    ask: (site, visitor) => {
      site.wire?.refuse(storesRecord)
      return visitor.get('/it')
    },
  },
  'unmodified, a stream': {
    handler: (_req, res, probe) => {
      res.write('a')
      // Real time in this row and the next two: the head leaves on its own, and the session is let go of before the probe.
      setTimeout(() => {
        probe()
        res.end('b')
      }, 20)
    },
  },
  'modified, then a stream': {
    handler: (req, res, probe) => {
      change(req)
      res.write('a')
      setTimeout(() => {
        probe()
        res.end('b')
      }, 20)
    },
  },
  'modified, then `text/event-stream`': {
    handler: (req, res, probe) => {
      change(req)
      res.type('text/event-stream').flushHeaders()
      setTimeout(() => {
        probe()
        res.end()
      }, 20)
    },
  },
  'a WebSocket upgrade': {
    ask: (site, visitor) =>
      new Promise((resolve) => {
        const req = Object.assign(new IncomingMessage(new Socket()), { headers: { cookie: visitor.cookie ?? '' }, url: '/', upgrade: true })
        Reflect.apply(site.middleware, undefined, [req, new ServerResponse(req), () => resolve(undefined)])
      }),
  },
}

function forgetting(req: Request, res: Response, probe: () => void): void {
  Object.assign(req, { session: null })
  respond(req, res, probe)
}

const CALLS = ['get', 'set', 'touch', 'destroy', 'regenerate'] as const
let calls: string[] = []
beforeEach(() => {
  for (const name of CALLS) {
    const original: unknown = ExpressStore.prototype[name]
    vi.spyOn(ExpressStore.prototype, name).mockImplementation(function (this: ExpressStore, ...args: unknown[]) {
      calls.push(name)
      return typeof original === 'function' ? (Reflect.apply(original, this, args) as never) : (undefined as never)
    })
  }
})
afterEach(() => {
  vi.restoreAllMocks()
})

const PAGE = readFileSync(fileURLToPath(new URL('../../../docs/reference/adapters.md', import.meta.url)), 'utf8')
const [, SECTION = ''] = /## Express\n([^]*?)(?:\n## |$)/.exec(PAGE) ?? []
const ROWS = [...SECTION.matchAll(/^\| (.+?) \| (.*?) \| (.*?) \| (yes|no|) \| (.*?) \|$/gm)].map(([, ...cells]) => cells)

describe('docs/reference/adapters.md', () => {
  it('has a row for each of these, and no other', () => {
    expect(ROWS.map(([path]) => path).sort()).toEqual(Object.keys(SCENARIOS).sort())
  })
})

describe.each(EXPRESSES)('the table of docs/reference/adapters.md, %s', (_name, framework) => {
  it.each(ROWS)('%s', async (path = '', ...promised) => {
    const scenario = SCENARIOS[path] ?? {}
    let held: string = ''
    const probe = (site: Site) => (): void => void (held = site.manager.stats().held > 0 ? 'yes' : 'no')
    const site = await Site.start(
      (app, own) => {
        const handler: RequestHandler = (req, res, next) => void scenario.handler?.(req, res, probe(own), next)
        app.get('/it', handler)
      },
      { framework, ...scenario.options },
    )
    const visitor = await site.visitor()
    calls = []
    const answer = await (scenario.ask?.(site, visitor) ?? visitor.get('/it'))
    const observed = [calls.join(', '), inWords(site.wire), held, String(answer?.status ?? '')]
    expect(observed).toEqual(promised.map(played))
    expect(await site.isFree(visitor.sid)).toBe(true)
  })
})
