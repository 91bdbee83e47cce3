/** A lifetime for each session, `session.maxAge`, where the session is latchkey's own: fetch, Hono, Fastify without @fastify/session. */
import type { SessionManager } from 'latchkey'
import { describe, expect, it } from 'vitest'
import type { Browser } from './express/browser.js'
import type { TapWire } from './express/tap-wire.js'
import { endSitesAfterEach as endFastifyAfterEach, type FastifyRequest, Site as FastifySite } from './fastify/site.js'
import { endSitesAfterEach as endFetchAfterEach, KINDS, Site as FetchSite } from './fetch/site.js'

endFetchAfterEach()
endFastifyAfterEach()

const MONTH_SEC = 30 * 86_400
const WRONG = [NaN, Infinity, -5, 0, '60', null, 4e9]

interface Played {
  readonly wire: TapWire | undefined
  readonly manager: SessionManager
  readonly errors: unknown[]
  browser(): Browser
  visitor(): Promise<Browser>
}
/** What both kinds of session have. */
interface Own {
  maxAge: number | undefined
  regenerate(): Promise<void>
  release(): Promise<void>
}
interface Options {
  readonly cookie?: { readonly maxAge: number }
}
type Play = (session: Own, asked: string) => unknown

const PLAYS: Readonly<Record<string, Play>> = {
  '/remember': (session) => void (session.maxAge = MONTH_SEC),
  '/forget': (session) => void (session.maxAge = undefined),
  '/login': (session) => session.regenerate(),
  '/wrong': (session, at) => Object.assign(session, { maxAge: WRONG[Number(at)] }),
  '/late': async (session) => {
    await session.release()
    session.maxAge = 5
  },
}

const fetchSite = (kind: (typeof KINDS)[number]) => (options: Options): Promise<Played> =>
  FetchSite.start(
    kind,
    Object.fromEntries(
      Object.entries(PLAYS).map(([path, play]) => [
        path,
        async (request, session) => {
          await play(session, new URL(request.url).search.slice(1))
          session.data.n = (session.data.n ?? 0) + 1
          return Response.json({ maxAge: session.maxAge ?? null })
        },
      ]),
    ),
    options,
  )
const fastifySite = async ({ cookie }: Options): Promise<Played> => {
  const site = await FastifySite.start(
    'without @fastify/session',
    (app) => {
      for (const [path, play] of Object.entries(PLAYS)) {
        app.get(path, async (request: FastifyRequest) => {
          const session = request.getDecorator<Own & { n?: number }>('session')
          await play(session, request.url.replace(/^.*\?/, ''))
          session.n = (session.n ?? 0) + 1
          return { maxAge: session.maxAge ?? null }
        })
      }
    },
    { own: cookie === undefined ? {} : { cookie } },
  )
  return site
}
const ADAPTERS: [string, (options: Options) => Promise<Played>][] = [
  ...KINDS.map((kind): [string, (options: Options) => Promise<Played>] => [kind, fetchSite(kind)]),
  ["Fastify's own", fastifySite],
]

const ttlsOf = ({ wire }: Played): number[] =>
  (wire?.flights.splice(0) ?? []).flatMap((commands) => commands.flatMap((one) => ('ttlSec' in one && !one.key.endsWith('-lck') ? [one.ttlSec] : [])))

const agesOf = (setCookies: readonly string[]): (string | undefined)[] => setCookies.map((cookie) => /Max-Age=(\d+)/.exec(cookie)?.[1])

describe.each(ADAPTERS)('%s', (_name, start) => {
  it.each<[string, Options, number, string | undefined]>([
    ['a cookie that ends with the browser', {}, 1440, undefined],
    ['a maxAge for all', { cookie: { maxAge: 3600 } }, 3600, '3600'],
  ])('beside %s: its cookie and its record live as long as it says, from every response on', async (_what, options, otherSec, otherAge) => {
    const site = await start(options)
    const visitor = await site.visitor()
    ttlsOf(site)
    const remembered = await visitor.get('/remember')
    expect([remembered.status, agesOf(remembered.setCookies), ttlsOf(site)]).toEqual([200, [String(MONTH_SEC)], [MONTH_SEC]])
    // Another request, which changes nothing.
    const shown = await visitor.get('/show')
    expect([agesOf(shown.setCookies), ttlsOf(site)]).toEqual([[String(MONTH_SEC)], [MONTH_SEC]])
    expect(JSON.parse(shown.body)).toEqual({ user: 'ada', n: 1 })
    const { sid } = visitor
    const login = await visitor.get('/login')
    expect([agesOf(login.setCookies), JSON.parse(login.body)]).toEqual([[String(MONTH_SEC)], { maxAge: MONTH_SEC }])
    expect(visitor.sid).not.toBe(sid)
    // Somebody else is not concerned.
    ttlsOf(site)
    await site.visitor()
    const other = site.browser()
    expect(agesOf((await other.get(_name.startsWith('Fastify') ? '/set/user/bob' : '/visit')).setCookies)).toEqual([otherAge])
    expect(ttlsOf(site)).toEqual([otherSec])
    // A worker, who knows nothing of it, leaves it so.
    await site.manager.run(visitor.sid, ({ data }) => void (data['bought'] = 1))
    expect(ttlsOf(site)).toEqual([MONTH_SEC])
    expect(await site.manager.peek(visitor.sid)).toEqual({ user: 'ada', n: 2, bought: 1 })
    const forgotten = await visitor.get('/forget')
    expect([forgotten.setCookies.length, agesOf(forgotten.setCookies), ttlsOf(site)]).toEqual([1, [otherAge], [otherSec]])
  })

  it('of a session that begins with it', async () => {
    const site = await start({})
    const browser = site.browser()
    const { setCookies } = await browser.get('/remember')
    expect([agesOf(setCookies), ttlsOf(site)]).toEqual([[String(MONTH_SEC)], [MONTH_SEC]])
    expect(agesOf((await browser.get('/show')).setCookies)).toEqual([String(MONTH_SEC)])
  })

  it('that is none: a typed error at once, nothing is stored and no cookie leaves', async () => {
    const site = await start({})
    const visitor = await site.visitor()
    for (const at of WRONG.keys()) {
      site.errors.splice(0)
      expect(await visitor.get(`/wrong?${String(at)}`), String(WRONG[at])).toMatchObject({ status: 500, setCookies: [] })
      expect(site.errors).toMatchObject([{ code: 'LATCHKEY_INVALID_OPTION', message: expect.stringContaining("the session's maxAge is") as string }])
      expect(await site.manager.peek(visitor.sid)).toEqual({ user: 'ada' })
    }
  })

  it('after release(): LATCHKEY_READ_ONLY', async () => {
    const site = await start({})
    const visitor = await site.visitor()
    expect(await visitor.get('/late')).toMatchObject({ status: 500 })
    expect(site.errors).toMatchObject([{ code: 'LATCHKEY_READ_ONLY' }])
  })
})
