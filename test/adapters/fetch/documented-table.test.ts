import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { storesRecord } from '../express/tap-wire.js'
import { inWords, played } from '../in-words.js'
import type { Answer, FetchBrowser } from './browser.js'
import { endSitesAfterEach, type Handler, KINDS, Site, type SiteOptions } from './site.js'

/** The table of docs/reference/adapters.md, row by row: what it says is what happens. */

endSitesAfterEach()

interface Scenario {
  readonly options?: SiteOptions
  readonly handler?: Handler
  /** In place of one request of a visitor to the handler. */
  readonly ask?: (site: Site, visitor: FetchBrowser) => Promise<Answer>
}

const ok = (): Response => Response.json({})
const changing: Handler = (_request, session) => {
  session.data.n = 1
  return ok()
}
const asStranger = (site: Site): Promise<Answer> => site.browser().get('/it')
const onlyIt: SiteOptions = { readOnly: ({ url }) => url.endsWith('/it') }

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'no cookie, nothing to store': { handler: ok, ask: asStranger },
  'no cookie, something to store': { handler: changing, ask: asStranger },
  'a cookie that is not signed': {
    handler: ok,
    ask: (site, { sid }) => site.browser().get('/it', { headers: { cookie: `sessionId=${sid}.AAAA` } }),
  },
  'a cookie whose record is missing': {
    handler: ok,
    ask: async (site, visitor) => {
      await site.elsewhere.run(visitor.sid, (session) => session.destroy())
      return visitor.get('/it')
    },
  },
  unmodified: { handler: ok },
  'unmodified, with a `maxAge`': { options: { cookie: { maxAge: 3600 } }, handler: ok },
  modified: { handler: changing },
  'modified, a redirect': {
    handler: (request, session) => {
      session.data.n = 1
      return Response.redirect(new URL('/show', request.url), 303)
    },
  },
  'modified, then a body that streams': {
    handler: (_request, session) => {
      session.data.n = 1
      return new Response(new Blob(['data: 1\n\n']).stream(), { headers: { 'content-type': 'text/event-stream' } })
    },
  },
  '`await session.save()`': {
    handler: async (_request, session) => {
      session.data.n = 1
      await session.save()
      return ok()
    },
  },
  '`await session.release()`': {
    handler: async (_request, session) => {
      session.data.n = 1
      await session.release()
      return ok()
    },
  },
  '`await session.regenerate()`': {
    handler: async (_request, session) => {
      await session.regenerate()
      return ok()
    },
  },
  '`await session.destroy()`': {
    handler: async (_request, session) => {
      await session.destroy()
      return ok()
    },
  },
  'read-only': { options: onlyIt, handler: ok },
  'read-only, and changed': { options: onlyIt, handler: changing },
  'a retired copy': {
    handler: ok,
    ask: async (site, visitor) => {
      await site.elsewhere.run(visitor.sid, (session) => session.regenerate({ retiredCopySec: 60 }))
      return visitor.get('/it')
    },
  },
  'a retired copy, and changed': {
    handler: changing,
    ask: async (site, visitor) => {
      await site.elsewhere.run(visitor.sid, (session) => session.regenerate({ retiredCopySec: 60 }))
      return visitor.get('/it')
    },
  },
  'the handler throws': {
    handler: (_request, session) => {
      session.data.n = 1
      throw new Error('a bug')
    },
  },
  'the lock does not come in time': {
    options: { managerOptions: { waitMs: 0 } },
    ask: async (site, visitor) => {
      const holder = await site.elsewhere.start(visitor.sid)
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
  'the session was destroyed meanwhile': {
    ask: (site, visitor) => {
      site.routes.set('/it', async (request, session) => {
        await site.elsewhere.store().destroy(session.id)
        return changing(request, session)
      })
      return visitor.get('/it')
    },
  },
}

/** What the response says of the session's cookie. */
function cookieIn({ setCookies }: Answer): string {
  const [cookie] = setCookies
  if (cookie === undefined) return 'no'
  return cookie.startsWith('sessionId=;') ? 'cleared' : 'set'
}

const PAGE = readFileSync(fileURLToPath(new URL('../../../docs/reference/adapters.md', import.meta.url)), 'utf8')
const [, SECTION = ''] = /## Fetch\n([^]*?)(?:\n## |$)/.exec(PAGE) ?? []
const ROWS = [...SECTION.matchAll(/^\| (.+?) \| (.*?) \| (yes|no|) \| (no|set|cleared) \| (\d+) \|$/gm)].map(([, ...cells]) => cells)

describe('the Fetch section of docs/reference/adapters.md', () => {
  it('has a row for each of these, and no other', () => {
    expect(ROWS.map(([path]) => path).sort()).toEqual(Object.keys(SCENARIOS).sort())
  })
})

describe.each(KINDS)('the table of the Fetch section, %s', (kind) => {
  it.each(ROWS)('%s', async (path = '', ...promised) => {
    const scenario = SCENARIOS[path] ?? {}
    const site = await Site.start(kind, {}, scenario.options)
    if (scenario.handler !== undefined) site.routes.set('/it', scenario.handler)
    const visitor = await site.visitor()
    const { sid } = visitor
    let held = ''
    const under = (handler: Handler): Handler => async (request, session) => {
      try {
        return await handler(request, session)
      } finally {
        held = site.manager.stats().held > 0 ? 'yes' : 'no'
      }
    }
    site.around = under
    const answer = await (scenario.ask?.(site, visitor) ?? visitor.get('/it'))
    const observed = [inWords(site.wire), held, cookieIn(answer), String(answer.status)]
    expect(observed).toEqual(promised.map(played))
    expect(await site.isFree(sid, visitor.sid)).toBe(true)
    if (answer.status === 503) expect(answer.headers['retry-after']).toBe('1')
  })
})
