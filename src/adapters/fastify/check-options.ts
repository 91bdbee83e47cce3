import type { CookieSerializeOptions } from '@fastify/cookie'
import type { FastifyInstance, RegisterOptions } from 'fastify'
import { InvalidOptionError } from '../../errors.js'
import { checkFlag, checkFunction } from '../../session/option-checks.js'
import {
  ANY_COOKIE, checkCookie, checkCommonOptions, KEEPING_OPTIONS, LOCK_OPTIONS, namesOf, OWN_COOKIE,
} from '../http/check-options.js'
import type { LatchkeyOptions, OwnSessionOptions } from './options.js'

/** Those of every plugin. */
const OF_REGISTER: Readonly<Record<keyof RegisterOptions, true>> = { prefix: true, logLevel: true, logSerializers: true }

const KNOWN = namesOf<LatchkeyOptions>(
  {
    ...{ ...LOCK_OPTIONS, ...KEEPING_OPTIONS, fastifySession: true, secret: true, algorithm: true, cookieName: true },
    ...{ cookie: true, saveUninitialized: true, rolling: true, idGenerator: true, cookiePrefix: true },
  },
  OF_REGISTER,
)
const KNOWN_OF_OWN = namesOf<OwnSessionOptions>(
  { ...LOCK_OPTIONS, fastifySession: true, cookieName: true, cookie: true, lifetimeSec: true },
  OF_REGISTER,
)
const COOKIE = namesOf<CookieSerializeOptions>(ANY_COOKIE)
const COOKIE_OF_OWN = namesOf<NonNullable<OwnSessionOptions['cookie']>>({ ...OWN_COOKIE, priority: true })

/** @throws InvalidOptionError LATCHKEY_INVALID_OPTION, with the value and the limit, or the nearest name. */
export function checkOptions(app: FastifyInstance, options: LatchkeyOptions | OwnSessionOptions): void {
  const { fastifySession } = options
  checkFlag('fastifySession', fastifySession)
  const example = 'app.register(latchkey, { manager, ... })'
  if (fastifySession === false) {
    if ('secret' in options && options.secret !== undefined) {
      throw new InvalidOptionError('secret cannot be given: @fastify/cookie signs, with its own: app.register(cookie, { secret }).')
    }
    checkCommonOptions(options, KNOWN_OF_OWN, example)
    checkCookie(options.cookie, COOKIE_OF_OWN, () => serialized(app, options), 'seconds')
  } else {
    checkCommonOptions(options, KNOWN, example)
    checkFunction('idGenerator', options.idGenerator)
    checkCookie(options.cookie, COOKIE, () => serialized(app, options), 'milliseconds')
  }
}

/** By @fastify/cookie, as for every response; that knows a maxAge in seconds only. */
function serialized(app: FastifyInstance, { cookieName = 'sessionId', cookie }: Pick<LatchkeyOptions, 'cookieName' | 'cookie'>): string {
  return app.serializeCookie(cookieName, '', { ...cookie, maxAge: 1, secure: cookie?.secure !== false })
}
