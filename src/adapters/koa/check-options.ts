import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type Koa from 'koa'
import { InvalidOptionError } from '../../errors.js'
import { checkNumber, fail, MAX_TTL_SEC } from '../../session/option-checks.js'
import {
  checkCookieCanBeMade, checkCommonOptions, LOCK_OPTIONS, namesOf, OWN_COOKIE,
} from '../http/check-options.js'
import type { LatchkeyOptions } from './options.js'

/** koa-session hands all of its options on to ctx.cookies.set(); and its older name of `maxAge`. */
const KNOWN = namesOf<LatchkeyOptions>(
  {
    ...{ ...LOCK_OPTIONS, key: true, maxAge: true, autoCommit: true, overwrite: true, httpOnly: true, signed: true },
    ...{ rolling: true, renew: true, secure: true, sameSite: true, externalKey: true, encode: true, decode: true },
    ...{ genid: true, prefix: true, valid: true, beforeSave: true },
  },
  { ...OWN_COOKIE, expires: true, priority: true, secureProxy: true, maxage: true },
)

const EXAMPLE = 'app.use(latchkey({ manager, ... }, app))'

/** What other stores and adapters have, and what it is here. */
const ELSEWHERE = {
  ContextStore: 'the sessions are kept by the manager (its savePath)',
  ttl: 'say maxAge, in milliseconds, or give the manager a lifetimeSec',
}

/** @throws InvalidOptionError LATCHKEY_INVALID_OPTION, with the value and the limit, or the nearest name. */
export function checkOptions(options: LatchkeyOptions, app: Koa): void {
  for (const [name, why] of Object.entries(ELSEWHERE)) {
    if (Reflect.get(Object(options), name) !== undefined) throw new InvalidOptionError(`${name} cannot be given: ${why}.`)
  }
  checkCommonOptions(options, KNOWN, EXAMPLE)
  const { maxAge } = options
  if (maxAge !== 'session') checkNumber('maxAge', maxAge, 0, MAX_TTL_SEC * 1000)
  const given: unknown = app
  if (typeof given !== 'object' || given === null || !('createContext' in given)) {
    throw new InvalidOptionError(`app is missing: ${EXAMPLE}.`)
  }
  checkCookieCanBeMade(() => setCookie(app, options))
  if ('session' in app.context) throw new InvalidOptionError('ctx.session is there already: take out the other session middleware.')
}

/**
 * What a handler makes of `ctx.session.maxAge`, before anything is stored: of another value no cookie can be made.
 *
 * @throws InvalidOptionError LATCHKEY_INVALID_OPTION
 */
export function checkMaxAge(maxAge: unknown): void {
  if (maxAge === undefined || maxAge === 'session') return
  if (typeof maxAge === 'number' && Math.abs(maxAge) <= MAX_TTL_SEC * 1000) return
  fail('ctx.session.maxAge', maxAge, `'session', or a number of milliseconds up to ${String(MAX_TTL_SEC * 1000)}`)
}

/** By Koa, as for every response. Whether the connection is secure is seen with each. */
function setCookie(app: Koa, { key = 'koa.sess', maxAge: _, ...attributes }: LatchkeyOptions): void {
  const req = new IncomingMessage(new Socket())
  const { cookies } = app.createContext(req, new ServerResponse(req))
  Reflect.apply(cookies.set, cookies, [key, 'id', { ...attributes, signed: false, secure: false }])
}
