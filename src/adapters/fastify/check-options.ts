import type { CookieSerializeOptions } from '@fastify/cookie'
import type { FastifyInstance, RegisterOptions } from 'fastify'
import { InvalidOptionError } from '../../errors.js'
import { checkCookie } from '../http/check-cookie.js'
import { checkFlag, checkFunction, checkNumber, checkOptions as checkCommonOptions, type Names, namesOf } from '../http/check-options.js'
import { MAX_TTL_SEC } from '../http/session-record.js'
import type { CommonOptions, LatchkeyOptions, OwnSessionOptions } from './options.js'

const COMMON: Names<CommonOptions> = { manager: true, label: true, graceMs: true, readOnly: true }
/** Those of every plugin. */
const OF_REGISTER: Names<RegisterOptions> = { prefix: true, logLevel: true, logSerializers: true }

const WITH_FASTIFY_SESSION: Names<LatchkeyOptions> = {
  ...COMMON,
  ...{ ttl: true, touchAfter: true, disableTouch: true, fastifySession: true, secret: true, algorithm: true },
  ...{ cookieName: true, cookie: true, saveUninitialized: true, rolling: true, idGenerator: true, cookiePrefix: true },
}
const OWN: Names<OwnSessionOptions> = { ...COMMON, fastifySession: true, cookieName: true, cookie: true, lifetimeSec: true }

const COOKIE: Names<CookieSerializeOptions> = {
  ...{ path: true, domain: true, httpOnly: true, secure: true, sameSite: true, maxAge: true, expires: true },
  ...{ partitioned: true, priority: true, signed: true, encode: true },
}
const OWN_COOKIE: Names<NonNullable<OwnSessionOptions['cookie']>> = {
  ...{ path: true, domain: true, httpOnly: true, secure: true, sameSite: true, maxAge: true, partitioned: true, priority: true },
}

/** @throws InvalidOptionError LATCHKEY_INVALID_OPTION, with the value and the limit, or the nearest name. */
export function checkOptions(app: FastifyInstance, options: LatchkeyOptions | OwnSessionOptions): void {
  const { fastifySession } = options
  checkFlag('fastifySession', fastifySession)
  const example = 'app.register(latchkey, { manager, ... })'
  if (fastifySession === false) {
    if ('secret' in options && options.secret !== undefined) {
      throw new InvalidOptionError('secret cannot be given: @fastify/cookie signs, with its own: app.register(cookie, { secret }).')
    }
    checkCommonOptions(options, namesOf(OWN, OF_REGISTER), example)
    checkNumber('lifetimeSec', options.lifetimeSec, 1, MAX_TTL_SEC)
    checkCookie(options.cookie, namesOf(OWN_COOKIE), () => serialized(app, options), 1)
  } else {
    checkCommonOptions(options, namesOf(WITH_FASTIFY_SESSION, OF_REGISTER), example)
    checkFunction('idGenerator', options.idGenerator)
    checkCookie(options.cookie, namesOf(COOKIE), () => serialized(app, options))
  }
}

/** By @fastify/cookie, as for every response; that knows a maxAge in seconds only. */
function serialized(app: FastifyInstance, { cookieName = 'sessionId', cookie }: Pick<LatchkeyOptions, 'cookieName' | 'cookie'>): string {
  return app.serializeCookie(cookieName, '', { ...cookie, maxAge: 1, secure: cookie?.secure !== false })
}
