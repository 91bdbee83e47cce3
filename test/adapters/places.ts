import type { Server, ServerResponse } from 'node:http'
import express, { type Request as ExpressRequest } from 'express'
import { SessionManager, type SessionManagerOptions } from 'latchkey'
import type { Browser } from './express/browser.js'
import * as expressSite from './express/site.js'
import type { TapWire } from './express/tap-wire.js'
import * as fastifySite from './fastify/site.js'
import * as fetchSite from './fetch/site.js'
import * as koaSite from './koa/site.js'

/** Every framework with latchkey, as one kind of thing: what must be so with all of them is said once. */

/** One request's session, whatever its framework calls it. */
export interface Seen {
  /** As it is now: another object after regenerate(). */
  readonly data: Record<string, unknown>
  save(): Promise<void>
  release(): Promise<void>
  regenerate(): Promise<void>
  destroy(): Promise<void>
}

export interface Page {
  /** The status that the answer is to have. */
  status: number
  /** The whole body of the request. */
  body(): Promise<string>
}

/** Answers with what it returns. */
export type Route = (session: Seen, page: Page) => unknown

export interface PlaceOptions {
  readonly managerOptions?: SessionManagerOptions
  /** Paths whose requests only read their session. */
  readonly readOnly?: readonly string[]
  readonly clientGoneMs?: number
  /** What a middleware above the session waits for at `/it`; nothing is above a fetch handler. */
  readonly above?: (response: ServerResponse) => Promise<unknown>
}

export interface Place {
  readonly server: Server
  readonly manager: SessionManager
  readonly wire: TapWire | undefined
  browser(): Browser
  /** A browser with a session that is stored: `{ user: 'ada' }`. */
  visitor(): Promise<Browser>
  stored(sid: string): Promise<object | undefined>
  isFree(...sids: string[]): Promise<boolean>
  /** The codes of what latchkey could not do, as the framework tells of it: its error handler, its log, an event or a callback. */
  told(): readonly string[]
  /** Before the test does; the locks must be free by now. */
  end(): Promise<void>
}

/** By path. Each place has `/show` as well, which answers with the session's data. */
type Start = (routes: Readonly<Record<string, Route>>, options?: PlaceOptions) => Promise<Place>

const nothing = (): Promise<void> => Promise.resolve()

const promised = (call: (done: (error?: unknown) => void) => unknown): Promise<void> =>
  new Promise((resolve, reject) => {
    call((error) => {
      if (error === undefined || error === null) resolve()
      else reject(error as Error)
    })
  })

const ofExpress = (req: ExpressRequest): Seen => ({
  get data() {
    return req.session as unknown as Record<string, unknown>
  },
  save: () => promised((done) => req.session.save(done)),
  release: () => req.session.release(),
  regenerate: () => promised((done) => req.session.regenerate(done)),
  destroy: () => promised((done) => req.session.destroy(done)),
})

const onExpress =
  (framework: typeof express): Start =>
    async (routes, { readOnly = [], above = nothing, ...options } = {}) => {
      const site = await expressSite.Site.start(
        (app) => {
          for (const [path, route] of Object.entries(routes)) {
            app.all(path, (req, res, next) => {
              const body = (): Promise<string> => promised((done) => express.text({ limit: '10mb' })(req, res, done)).then(() => String(req.body))
              const page: Page = { status: 200, body }
              Promise.resolve(route(ofExpress(req), page)).then((answer) => res.status(page.status).json(answer), next)
            })
          }
        },
        {
          ...{ framework, ...options, readOnly: (req) => readOnly.includes(req.url ?? '') },
          before: (app) => {
            app.use('/it', (_req, res, next) => {
              above(res).then(() => next(), next)
            })
          },
        },
      )
      return Object.assign(site, { told: () => codesOf([...site.errors, ...site.failures]) })
    }

const onFastify =
  (kind: fastifySite.Kind): Start =>
    async (routes, { readOnly = [], above = nothing, ...options } = {}) => {
      const site = await fastifySite.Site.start(
        kind,
        (app) => {
        // The routes read their bodies.
          app.removeAllContentTypeParsers()
          app.addContentTypeParser('*', (_request, _payload, done) => {
            done(null)
          })
          for (const [path, route] of Object.entries(routes)) {
            app.all(path, async (request, reply) => {
              const seen: Seen = {
                get data() {
                  return fastifySite.visit(request) as unknown as Record<string, unknown>
                },
                save: () => fastifySite.visit(request).save(),
                release: () => fastifySite.visit(request).release(),
                regenerate: () => fastifySite.visit(request).regenerate(),
                destroy: () => fastifySite.visit(request).destroy(),
              }
              const page: Page = { status: 200, body: () => textOf(request.raw) }
              const answer = await route(seen, page)
              return reply.code(page.status).send(JSON.stringify(answer))
            })
          }
        },
        {
          ...{ ...options, readOnly: (request) => readOnly.includes(request.url) },
          before: (app) => {
            app.addHook('onRequest', async ({ url }, reply) => {
              if (url === '/it') await above(reply.raw)
            })
          },
        },
      )
      return Object.assign(site, { server: site.app.server, told: () => codesOf(site.errors) })
    }

const onKoa: Start = async (routes, { readOnly = [], above = nothing, ...options } = {}) => {
  const handlers = Object.entries(routes).map(([path, route]): [string, koaSite.Handler] => [
    path,
    async (ctx) => {
      const seen: Seen = {
        get data() {
          return ctx['session'] as Record<string, unknown>
        },
        save: () => (ctx['session'] as koaSite.Visit).save(),
        release: () => (ctx['session'] as koaSite.Visit).release(),
        regenerate: () => (ctx['session'] as koaSite.Visit).regenerate(),
        destroy: async () => {
          ctx['session'] = null
        },
      }
      const page: Page = { status: 200, body: () => textOf(ctx.req) }
      const answer = await route(seen, page)
      ctx.status = page.status
      ctx.type = 'json'
      return JSON.stringify(answer)
    },
  ])
  const site = await koaSite.Site.start(Object.fromEntries(handlers), {
    ...{ ...options, readOnly: (ctx) => readOnly.includes(ctx.path) },
    before: (app) => {
      app.use(async (ctx, next) => {
        if (ctx.path === '/it') await above(ctx.res)
        await next()
      })
    },
  })
  return Object.assign(site, { told: () => codesOf(site.errors) })
}

const onFetch =
  (kind: fetchSite.Kind): Start =>
    async (routes, { readOnly = [], above: _above, ...options } = {}) => {
      const handlers = Object.entries(routes).map(([path, route]): [string, fetchSite.Handler] => [
        path,
        async (request, session) => {
          const page: Page = { status: 200, body: () => request.text() }
          const answer = await route(session as unknown as Seen, page)
          return Response.json(answer, { status: page.status })
        },
      ])
      const isReadOnly = (request: Request): boolean => readOnly.includes(new URL(request.url).pathname)
      const site = await fetchSite.Site.start(kind, Object.fromEntries(handlers), { ...options, readOnly: isReadOnly })
      return Object.assign(site, { told: () => [...site.refused, ...codesOf(site.errors)] })
    }

/** Of latchkey's errors among these. */
export const codesOf = (errors: readonly unknown[]): readonly string[] =>
  errors.flatMap((error) => (error instanceof Error && 'code' in error && String(error.code).startsWith('LATCHKEY_') ? [String(error.code)] : []))

async function textOf(incoming: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of incoming) parts.push(part)
  return Buffer.concat(parts).toString()
}

export const PLACES: readonly (readonly [name: string, start: Start])[] = [
  ...expressSite.EXPRESSES.map(([name, framework]) => [name, onExpress(framework)] as const),
  ...fastifySite.KINDS.map((kind) => [`Fastify ${kind}`, onFastify(kind)] as const),
  ['Koa', onKoa],
  ...fetchSite.KINDS.map((kind) => [kind, onFetch(kind)] as const),
]

/** Another process with the same store. */
export const elsewhere = ({ wire, manager }: Place): SessionManager =>
  wire === undefined ? manager : new SessionManager({ wire: wire.inner, waitMs: 0 })

/** In every file that starts places. */
export function endPlacesAfterEach(): void {
  expressSite.endSitesAfterEach()
  fastifySite.endSitesAfterEach()
  koaSite.endSitesAfterEach()
  fetchSite.endSitesAfterEach()
}

export { barrier, until } from './express/site.js'
