/**
 * For Fastify 5: a plugin, in place of @fastify/session or without it.
 *
 * @module latchkey/fastify
 */
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { InvalidOptionError } from '../../errors.js'
import type { CommonStore } from '../http/common-store.js'
import { registerFastifySession } from './fastify-session/register.js'
import type { FastifySessionObject, Session } from './fastify-session/types.js'
import { registerOwnSession } from './own-session/register.js'
import { checkOptions } from './check-options.js'
import { checkRouteConfig, type LatchkeyOptions, type OwnSessionOptions } from './options.js'

export { SessionHttpError } from '../http/http-error.js'
export type { LatchkeyOptions, OwnSessionOptions } from './options.js'
export type { Ttl } from './fastify-session/record.js'

/**
 * `request.sessionStore` beside @fastify/session, whose type names `get`, `set` and `destroy` only:
 * `request.getDecorator<LatchkeyStore>('sessionStore').length()`.
 */
export type LatchkeyStore = CommonStore<Session>

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Requests of this route read their session without waiting and without a lock, and cannot change it. */
    session?: 'readOnly'
  }

  /** `request.session` without @fastify/session. Applications add to it what they keep in it; these names are taken. */
  interface LatchkeySession {
    /** Another one after regenerate(). */
    readonly id: string
    /**
     * Seconds that this session and its cookie live, counted from every response ("remember me"): kept with the session,
     * before the options `cookie.maxAge` and `lifetimeSec`. At least 1, else LATCHKEY_INVALID_OPTION. Undefined, as of a
     * new session: the options say.
     */
    maxAge: number | undefined
    /** Stores the session now and keeps the lock. One flight. Errors: a SessionHttpError with the code of the cause. */
    save(): Promise<void>
    /** As save(), and lets go of it: from then on a change throws LATCHKEY_READ_ONLY. One flight. */
    release(): Promise<void>
    /** Goes on under a new id with the same data: at every login. Three flights. Errors as of save(). */
    regenerate(): Promise<void>
    /** Ends it: at every logout. From then on a change throws LATCHKEY_SESSION_GONE. One flight. */
    destroy(): Promise<void>
    /** What is kept under the name, for plugins that ask so (@fastify/passport). */
    get(name: string): unknown
    /** Keeps it under the name; undefined takes it out. */
    set(name: string, value: unknown): void
  }

  interface FastifyRequest {
    /** @fastify/session's where that is installed. */
    session: 'decryptSession' extends keyof FastifyInstance ? FastifySessionObject : LatchkeySession
  }
}

/**
 * Sessions for Fastify 5, locked per request: `app.register(latchkey, { manager, ...@fastify/session's options })` in
 * place of `app.register(fastifySession, ...)`, after @fastify/cookie.
 *
 * The lock is taken when the session is read, and let go in the flight that stores it, before the response leaves. A
 * refused save is an error for the application's error handler (503, no Set-Cookie), and a busy session is a 503 with
 * Retry-After. Two flights a request. With `fastifySession: false` it needs no @fastify/session.
 *
 * @throws LATCHKEY_INVALID_OPTION when `manager` is missing, `store` is given, an option is unknown or out of its range,
 *   `request.session` is there already, or @fastify/session is not; and what @fastify/session says of its own.
 */
async function register(app: FastifyInstance, options: LatchkeyOptions | OwnSessionOptions): Promise<void> {
  checkOptions(app, options)
  if (app.hasRequestDecorator('session')) {
    throw new InvalidOptionError('request.session is there already: take out the other session plugin.')
  }
  // A route that was added before is checked by its requests.
  app.addHook('onRoute', ({ config }) => checkRouteConfig(config))
  if (options.fastifySession === false) await registerOwnSession(app, options)
  else await app.register(inPlaceOfFastifySession, options)
}

/** Under its name, for the plugins that depend on it. */
const inPlaceOfFastifySession = fp(registerFastifySession, {
  fastify: '5.x',
  name: '@fastify/session',
  dependencies: ['@fastify/cookie'],
})

/** The plugin: `app.register(latchkey, { manager, ... })`, with LatchkeyOptions or OwnSessionOptions. Needs @fastify/cookie. */
export const latchkey = fp(register, { fastify: '5.x', name: 'latchkey', dependencies: ['@fastify/cookie'] })
export default latchkey
