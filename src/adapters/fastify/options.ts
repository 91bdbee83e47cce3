import type { CookieSerializeOptions } from '@fastify/cookie'
import type { FastifySessionOptions } from '@fastify/session'
import type { FastifyRequest } from 'fastify'
import type { SessionManager } from '../../session/session-manager.js'
import type { Ttl } from './fastify-session/bare-store.js'

export interface CommonOptions {
  /** Where the sessions are, and how they are locked. One per process. */
  readonly manager: SessionManager
  /** What the holder of a lock calls itself, for whoever waits for it. Default: method and route, `GET /cart/:id`. */
  readonly label?: (request: FastifyRequest) => string
  /** Milliseconds that a handler may hold the session of a client that has gone. 0 to 3 600 000. Default 10 000. */
  readonly graceMs?: number
  /**
   * Whether a request only reads its session: without waiting and without a lock; an attempt to change it throws
   * LATCHKEY_READ_ONLY. Default: routes with `config: { session: 'readOnly' }`. WebSocket upgrades always do.
   */
  readonly readOnly?: (request: FastifyRequest) => boolean
}

/** @fastify/session's options, but for `store`, and these. */
export interface LatchkeyOptions extends CommonOptions, Omit<FastifySessionOptions, 'store'> {
  /**
   * Seconds that a session without a cookie expiry lives, or a function that says them; 0 or less destroys it.
   * Default: the manager's lifetimeSec if given, else 86 400.
   */
  readonly ttl?: Ttl
  /**
   * With `rolling`: seconds within which a session that a request left as it was is not prolonged again; its lock is
   * only let go. It may then end that much earlier than its `ttl` says. At least 0. Default 0: always prolonged.
   */
  readonly touchAfter?: number
  /** `true`: a session that a request left as it was is never prolonged. Default false. */
  readonly disableTouch?: boolean
  /** `false`: without @fastify/session; see OwnSessionOptions. Default true. */
  readonly fastifySession?: true
}

/** `request.session` without @fastify/session: its id is in a cookie that @fastify/cookie signs, with its `secret`. */
export interface OwnSessionOptions extends CommonOptions {
  readonly fastifySession: false
  /** Default `sessionId`. */
  readonly cookieName?: string
  /** As of reply.setCookie(), `maxAge` in seconds. Default: `path: '/'`, `httpOnly`, `secure` and `sameSite: 'lax'`. */
  readonly cookie?: Omit<CookieSerializeOptions, 'signed' | 'expires' | 'encode'>
  /** Seconds that a session lives from its last request. At least 1. Default: the cookie's maxAge, or the manager's. */
  readonly lifetimeSec?: number
}

/** Method and route: a path may tell what a visitor does, a query may hold secrets. */
export const labelOf = ({ method, routeOptions }: FastifyRequest): string =>
  `${method} ${routeOptions.url ?? '(no route)'}`

export function isReadOnly(request: FastifyRequest, asked: CommonOptions['readOnly']): boolean {
  const { config } = request.routeOptions
  // Nothing of a WebSocket's session is ever stored by a response.
  return isUpgrade(request) || config.session === 'readOnly' || asked?.(request) === true
}

const isUpgrade = ({ raw }: FastifyRequest): boolean => 'upgrade' in raw && raw.upgrade === true
