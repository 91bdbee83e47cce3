import type { CookieSerializeOptions } from '@fastify/cookie'
import type { FastifyRequest } from 'fastify'
import { fail } from '../../session/option-checks.js'
import type { LockOptions } from '../http/options.js'
import type { KeepingOptions } from '../http/session-record.js'
import type { FastifySessionOptions, Session } from './fastify-session/types.js'

/** @fastify/session's options, but for `store`, and these. */
export interface LatchkeyOptions
  extends Omit<FastifySessionOptions, 'store' | 'secret'>, LockOptions<FastifyRequest>, KeepingOptions<Session> {
  /** As of @fastify/session; `false` with the manager's `php`: PHP's cookie is not signed. */
  readonly secret: FastifySessionOptions['secret'] | false
  /** `false`: without @fastify/session; see OwnSessionOptions. Default true. */
  readonly fastifySession?: true
}

/** `request.session` without @fastify/session: its id is in a cookie that @fastify/cookie signs, with its `secret`. */
export interface OwnSessionOptions extends LockOptions<FastifyRequest> {
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

export function isReadOnly(request: FastifyRequest, asked: LockOptions<FastifyRequest>['readOnly']): boolean {
  const { config } = request.routeOptions
  checkRouteConfig(config)
  // Nothing of a WebSocket's session is ever stored by a response.
  return isUpgrade(request) || config.session === 'readOnly' || asked?.(request) === true
}

/** @throws InvalidOptionError LATCHKEY_INVALID_OPTION: a route that was to be read-only would lock, and write. */
export function checkRouteConfig(config: { readonly session?: unknown } = {}): void {
  if (config.session !== undefined && config.session !== 'readOnly') fail('config.session', config.session, "'readOnly', or left out")
}

const isUpgrade = ({ raw }: FastifyRequest): boolean => 'upgrade' in raw && raw.upgrade === true
