import type { FastifySessionOptions } from '@fastify/session'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { BareSessions } from '../../http/bare-sessions.js'
import type { SessionManager } from '../../../session/session-manager.js'
import { CommonStore } from '../../http/common-store.js'
import { sharedCookieOf } from '../../http/shared-cookie.js'
import { checkedIds } from '../../http/checked-id.js'
import { playLives } from '../life-cycle.js'
import { isReadOnly, labelOf, type LatchkeyOptions } from '../options.js'
import { fastifyRecordOf } from './record.js'
import { loadFastifySession } from './hooks.js'
import { HookedRequest } from './hooked-request.js'

/** Everything that @fastify/session adds to an application, with a store for each request. */
export async function registerFastifySession(app: FastifyInstance, options: LatchkeyOptions): Promise<void> {
  const { manager, label = labelOf, clientGoneMs, readOnly, ...rest } = options
  const idGenerator = checkedIds('idGenerator', rest.idGenerator, () => manager.createSid())
  const given = { ...rest, ...cookieOptionsOf(manager, rest), idGenerator }
  const { rolling = true, saveUninitialized = true } = given
  const sessions = new BareSessions(manager, fastifyRecordOf(manager, options), (error) => app.log.warn(error, 'a session was left out of the list'))
  const bareStore = new CommonStore(sessions)
  const hooksFor = await loadFastifySession(app, given)
  const bare = hooksFor(bareStore)
  const kept = { sessions, hooksFor, rolling, saveUninitialized, clientGoneMs }

  // @fastify/session has null there.
  const lockedOf = playLives(app, null, (request, reply) =>
    new HookedRequest(request, reply, kept, label(request), isReadOnly(request, readOnly)),
  )
  app.decorate('decryptSession', (id: string, request: object, ...rest: Rest) => {
    const { decryptSession } = lockedOf(request)?.hooks ?? bare
    Reflect.apply(decryptSession, app, [id, request, ...rest])
  })
  app.decorateRequest('sessionStore', {
    getter(this: FastifyRequest) {
      return lockedOf(this)?.store ?? bareStore
    },
  })
}

/** What @fastify/session is told of the cookie: what it was given, or PHP's own, which nobody signs. */
function cookieOptionsOf(manager: SessionManager, { secret }: Pick<LatchkeyOptions, 'secret'>): Pick<FastifySessionOptions, 'secret' | 'cookie' | 'cookieName'> {
  const php = sharedCookieOf(manager)
  // @fastify/session says that it lacks a secret.
  if (php === undefined) return { secret: secret === false ? '' : secret }
  return { secret: UNSIGNED, cookieName: php.name, cookie: php.inMs }
}

const UNSIGNED = {
  sign: (value: string) => value,
  unsign: (value: string) => ({ valid: true, renew: false, value }),
} as const

type Rest = [cookieOptions: object, done: (error?: Error) => void] | [done: (error?: Error) => void]
