import type { FastifyInstance, FastifyRequest } from 'fastify'
import { InvalidOptionError } from '../../../errors.js'
import { DEFAULT_GRACE_MS } from '../../http/options.js'
import { LifeCycle } from '../life-cycle.js'
import { isReadOnly, labelOf, type OwnSessionOptions } from '../options.js'
import { OwnSession } from './own-session.js'
import { SessionCookie } from './session-cookie.js'
import type { Data } from './session-methods.js'

/** Not typed as a name that is known: where @fastify/session is installed, its types say what request.session is. */
const SESSION: string = 'session'

/** `request.session` without @fastify/session. */
export async function registerOwnSession(app: FastifyInstance, options: OwnSessionOptions): Promise<void> {
  if (!app.hasDecorator('signCookie')) {
    throw new InvalidOptionError('@fastify/cookie has no secret to sign with: app.register(cookie, { secret }).')
  }
  const { manager, label = labelOf, graceMs = DEFAULT_GRACE_MS, readOnly, lifetimeSec = options.cookie?.maxAge } = options
  const cookie = new SessionCookie(options)
  const served = new WeakMap<FastifyRequest, { readonly own: OwnSession; readonly life: LifeCycle }>()

  app.decorateRequest(SESSION, {
    getter(this: FastifyRequest) {
      return served.get(this)?.own.session.data
    },
    setter(this: FastifyRequest, data: Data) {
      const own = served.get(this)?.own
      if (own !== undefined) own.session.data = data
    },
  })
  app.addHook('onRequest', (request, reply, done) => {
    const settings = { label: label(request), lifetimeSec, readOnly: isReadOnly(request, readOnly) }
    const own = new OwnSession(request, reply, cookie, manager, settings)
    const life = new LifeCycle(own, reply, graceMs)
    served.set(request, { own, life })
    life.onRequest(done)
  })
  app.addHook('onSend', (request, _reply, payload, done) => {
    const life = served.get(request)?.life
    if (life === undefined) done()
    else life.onSend(payload, done)
  })
}
