import { readFileSync } from 'node:fs'
import { PassThrough } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Context } from 'koa'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { KoaStore } from '../../../src/adapters/koa/koa-store.js'
import { storesRecord } from '../express/tap-wire.js'
import { inWords, played } from '../in-words.js'
import type { KoaBrowser } from './browser.js'
import { endSitesAfterEach, Site, type SiteOptions, type Visit } from './site.js'

/** The table of docs/reference/adapters.md, row by row: what it says is what happens. */

endSitesAfterEach()

interface Scenario {
  readonly options?: SiteOptions
  /** What happens before `probe` looks at the lock. */
  readonly handler?: (ctx: Context, session: Visit) => unknown
  /** In place of one request of a visitor to the handler. */
  readonly ask?: (site: Site, visitor: KoaBrowser) => Promise<{ status: number }>
}

const change = (_ctx: Context, session: Visit): void => void (session.n = 1)
const nothing = (): void => undefined
const asStranger = (site: Site): Promise<{ status: number }> => site.browser().get('/it')

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'no cookie, nothing to store': { handler: nothing, ask: asStranger },
  'no cookie, something to store': { handler: change, ask: asStranger },
  'a cookie whose record is missing': {
    handler: nothing,
    ask: async (site, visitor) => {
      await site.elsewhere().run(visitor.sid, (session) => session.destroy())
      return visitor.get('/it')
    },
  },
  unmodified: { handler: nothing },
  'unmodified, `rolling: true`': { options: { rolling: true }, handler: nothing },
  'unmodified, `renew: true`, past half of its time': {
    options: { renew: true, maxAge: 3_600_000 },
    handler: nothing,
    ask: async (site, visitor) => {
      await site.elsewhere().run<{ _expire: number }>(visitor.sid, ({ data }) => void (data._expire = Date.now() + 1_000_000))
      return visitor.get('/it')
    },
  },
  modified: { handler: change },
  'modified, a redirect': {
    handler: (ctx, session) => {
      change(ctx, session)
      ctx.redirect('/show')
    },
  },
  'modified, then a stream as the body': {
    handler: (ctx, session) => {
      change(ctx, session)
      const body = new PassThrough()
      ctx.body = body
      body.end('text')
    },
  },
  'modified, `ctx.respond = false`': {
    handler: (ctx, session) => {
      change(ctx, session)
      ctx.respond = false
      ctx.res.end()
    },
  },
  '`text/event-stream` past Koa': {
    handler: async (ctx) => {
      ctx.respond = false
      ctx.res.writeHead(200, { 'content-type': 'text/event-stream' })
      for (let turns = 0; turns < 5; turns++) await turn()
      ctx.res.end()
    },
  },
  '`await ctx.session.save()`': {
    handler: async (ctx, session) => {
      change(ctx, session)
      await session.save()
    },
  },
  '`await ctx.session.release()`': {
    handler: async (ctx, session) => {
      change(ctx, session)
      await session.release()
    },
  },
  '`await ctx.session.regenerate()`': { handler: (_ctx, session) => session.regenerate() },
  '`ctx.session = null`': { handler: (ctx) => void Object.assign(ctx, { session: null }) },
  '`autoCommit: false`, modified': { options: { autoCommit: false }, handler: change },
  '`autoCommit: false`, `manuallyCommit()`': {
    options: { autoCommit: false },
    handler: async (ctx, session) => {
      change(ctx, session)
      await session.manuallyCommit()
    },
  },
  'read-only': { options: { readOnly: ({ path }) => path === '/it' }, handler: nothing },
  'read-only, and changed': { options: { readOnly: ({ path }) => path === '/it' }, handler: change },
  'a retired copy': {
    options: { managerOptions: { retiredCopySec: 60 }, rolling: true },
    handler: nothing,
    ask: async (site, visitor) => {
      await site.elsewhere().run(visitor.sid, (session) => session.regenerate({ retiredCopySec: 60 }))
      return visitor.get('/it')
    },
  },
  'the handler throws': {
    handler: (ctx, session) => {
      change(ctx, session)
      ctx.throw(418)
    },
  },
  'the lock does not come in time': {
    options: { managerOptions: { waitMs: 0 } },
    ask: async (site, visitor) => {
      const holder = await site.elsewhere().start(visitor.sid)
      const answer = await visitor.get('/it')
      await holder.release()
      return answer
    },
  },
  'the save is refused': {
    handler: change,
    ask: (site, visitor) => {
      site.wire?.refuse(storesRecord)
      return visitor.get('/it')
    },
  },
}

const CALLS = ['get', 'set', 'destroy'] as const
let calls: string[] = []
beforeEach(() => {
  for (const name of CALLS) {
    const original: unknown = KoaStore.prototype[name]
    vi.spyOn(KoaStore.prototype, name).mockImplementation(function (this: KoaStore, ...args: unknown[]) {
      calls.push(name)
      return typeof original === 'function' ? (Reflect.apply(original, this, args) as never) : (undefined as never)
    })
  }
})
afterEach(() => {
  vi.restoreAllMocks()
})

const PAGE = readFileSync(fileURLToPath(new URL('../../../docs/reference/adapters.md', import.meta.url)), 'utf8')
const [, SECTION = ''] = /## Koa\n([^]*?)(?:\n## |$)/.exec(PAGE) ?? []
const ROWS = [...SECTION.matchAll(/^\| (.+?) \| (.*?) \| (.*?) \| (yes|no|) \| (.*?) \|$/gm)].map(([, ...cells]) => cells)

describe('the Koa section of docs/reference/adapters.md', () => {
  // koa-session writes into each record when it ends: to the millisecond, so that two saves of a request would
  // differ by chance. Here time stands within a request, and moves on before it.
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }))
  afterEach(() => void vi.useRealTimers())

  it('has a row for each of these, and no other', () => {
    expect(ROWS.map(([path]) => path).sort()).toEqual(Object.keys(SCENARIOS).sort())
  })

  it.each(ROWS)('%s', async (path = '', ...promised) => {
    const scenario = SCENARIOS[path] ?? {}
    let held = ''
    const site: Site = await Site.start(
      {
        '/it': async (ctx, session) => {
          ctx.status = 200
          try {
            await scenario.handler?.(ctx, session)
          } finally {
            held = site.manager.stats().held > 0 ? 'yes' : 'no'
          }
        },
      },
      scenario.options,
    )
    const visitor = await site.visitor()
    const { sid } = visitor
    vi.setSystemTime(Date.now() + 5)
    calls = []
    const { status } = await (scenario.ask?.(site, visitor) ?? visitor.get('/it'))
    const observed = [calls.join(', '), inWords(site.wire), held, String(status)]
    expect(observed).toEqual(promised.map(played))
    expect(await site.isFree(sid)).toBe(true)
  })
})
