import type { FastifyInstance, FastifyRequest } from 'fastify'
import { InvalidOptionError } from '../../../errors.js'
import { playLives } from '../life-cycle.js'
import { isReadOnly, labelOf, type OwnSessionOptions } from '../options.js'
import { OwnSession } from './own-session.js'
import { fastifyFormOf } from './session-cookie.js'
import type { Data } from './session-methods.js'

/** Not typed as a name that is known: where @fastify/session is installed, its types say what request.session is. */
const SESSION: string = 'session'

/** `request.session` without @fastify/session. */
export async function registerOwnSession(app: FastifyInstance, options: OwnSessionOptions): Promise<void> {
  if (!app.hasDecorator('signCookie') && options.manager.php === undefined) {
    throw new InvalidOptionError('@fastify/cookie has no secret to sign with: app.register(cookie, { secret }).')
  }
  const { manager, label = labelOf, clientGoneMs, readOnly, lifetimeSec = options.cookie?.maxAge } = options
  const form = fastifyFormOf(options)
  const ownOf = playLives(app, (request, reply) => {
    const settings = { label: label(request), lifetimeSec, readOnly: isReadOnly(request, readOnly), clientGoneMs }
    return new OwnSession(manager, form, reply, settings)
  })
  app.decorateRequest(SESSION, {
    getter(this: FastifyRequest) {
      return ownOf(this)?.data
    },
    setter(this: FastifyRequest, data: Data) {
      const own = ownOf(this)
      if (own !== undefined) own.data = data
    },
  })
}
