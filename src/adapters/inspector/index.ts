/**
 * A live page of who holds, who waits and why: one line in Express, Fastify, Koa, Hono or a fetch handler.
 *
 * @module latchkey/inspector
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { SessionManager } from '../../session/session-manager.js'
import { Answers } from './answers.js'
import { fetchRequest, responseOf } from './fetch-outlet.js'
import { Hub } from './hub.js'
import { nodeRequest, pathOf, sendAnswer } from './node-outlet.js'
import { type InspectorOptions, settingsOf } from './options.js'
import { ManagerSource } from './source.js'

export type { Guard, InspectorOptions, InspectorRequest, Refusal, Replay } from './options.js'

/** A middleware of Express, Connect, or Node's http with a `next` of one's own. */
export type ExpressMiddleware = (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void

/** The part of Koa's context that is used. */
export interface KoaContext {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly path: string
  respond?: boolean | undefined
}

/** The part of a Fastify instance that is used. */
export interface FastifyApp {
  /** Mounts the page, its files and its events. */
  get(path: string, options: { config: { session: 'readOnly' } }, handler: FastifyHandler): unknown
  /** Mounts the button. */
  post(path: string, options: { config: { session: 'readOnly' } }, handler: FastifyHandler): unknown
}

/** A handler of Fastify. */
export type FastifyHandler = (request: FastifyRequestPart, reply: FastifyReplyPart) => Promise<void>

/** The part of Fastify's request that is used. */
export interface FastifyRequestPart {
  readonly raw: IncomingMessage
}

/** The part of Fastify's reply that is used. */
export interface FastifyReplyPart {
  readonly raw: ServerResponse
  /** Says that Fastify does not answer. */
  hijack(): unknown
}

/** The page, and the ways to mount it: before the middleware of the sessions, so that it takes none. */
export interface Inspector {
  /** `app.use(inspector.express())` */
  express(): ExpressMiddleware
  /** `app.register(inspector.fastify)` */
  readonly fastify: (app: FastifyApp) => Promise<void>
  /** `app.use(inspector.koa())` */
  koa(): (ctx: KoaContext, next: () => Promise<unknown>) => Promise<void>
  /** `app.use(inspector.hono())` */
  hono(): (context: { readonly req: { readonly raw: Request } }, next: () => Promise<void>) => Promise<Response | undefined>
  /** The response to a request of the page; undefined where it is not one of the page. */
  fetch(request: Request): Promise<Response | undefined>
  /** Ends every open page: before the server closes, which would wait for them. It may be opened again. */
  close(): void
}

/**
 * Makes the page of a manager, or of several. Nothing is recorded while no page is open. At most 8 are at a time (then
 * 503), each in a few hundred kilobytes that do not grow.
 *
 * In production (`NODE_ENV`) the option `guard` is required, and elsewhere without it only this machine is answered.
 *
 * @throws LATCHKEY_INVALID_OPTION: no manager, `guard` is missing in production, an option is unknown or not what it must be.
 */
export function createInspector(manager: SessionManager | readonly SessionManager[], options: InspectorOptions = {}): Inspector {
  const managers = [manager].flat()
  const settings = settingsOf(managers, options)
  const sources = managers.map((one, index) => new ManagerSource(one, settings.names[index]))
  const hub = new Hub(sources, settings.clock, settings.replay?.label)
  return mountsOf(new Answers(settings, hub), settings.path, hub)
}

function mountsOf(answers: Answers, path: string, hub: Hub): Inspector {
  const answered = async (request: Request): Promise<Response | undefined> => {
    const { pathname } = new URL(request.url)
    return answers.has(pathname) ? responseOf(request, await answers.to(fetchRequest(request, pathname))) : undefined
  }
  return {
    express: () => (req, res, next) => {
      const url = req.url ?? ''
      if (!answers.has(pathOf(url))) return next()
      answers.to(nodeRequest(req, url, req)).then((answer) => {
        sendAnswer(res, answer)
      }).catch(next)
    },
    fastify: async (app) => {
      const handle: FastifyHandler = async (request, reply) => {
        // The prefix that the plugin was registered under is not the inspector's to know.
        const url = request.raw.url ?? ''
        const answer = await answers.to(nodeRequest(request.raw, url.slice(Math.max(url.indexOf(path), 0)), request))
        reply.hijack()
        sendAnswer(reply.raw, answer)
      }
      // Where the application's sessions are of a plugin above this one, none is locked.
      const options = { config: { session: 'readOnly' } } as const
      for (const route of [path, `${path}/*`]) app.get(route, options, handle)
      app.post(`${path}/replay`, options, handle)
    },
    koa: () => async (ctx, next) => {
      if (!answers.has(ctx.path)) {
        await next()
        return
      }
      const answer = await answers.to(nodeRequest(ctx.req, ctx.path, ctx))
      ctx.respond = false
      sendAnswer(ctx.res, answer)
    },
    hono: () => async ({ req }, next) => {
      const response = await answered(req.raw)
      if (response === undefined) await next()
      return response
    },
    fetch: answered,
    close: () => hub.close(),
  }
}
