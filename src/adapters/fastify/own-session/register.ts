import type { FastifyInstance, FastifyReply } from 'fastify'
import { InvalidOptionError } from '../../../errors.js'
import { RequestSession, type RequestSettings } from '../../../request/request-session.js'
import type { SessionManager } from '../../../session/session-manager.js'
import { toHttpError } from '../../http/http-error.js'
import { tellBrowser } from '../../http/own-cookie.js'
import { type LivingSession, playLives } from '../life-cycle.js'
import { isReadOnly, labelOf, type OwnSessionOptions } from '../options.js'
import { FastifyCookie, fastifyFormOf } from './session-cookie.js'
import { type Data, withSessionMethods } from './session-methods.js'

/** `request.session` without @fastify/session. */
export async function registerOwnSession(app: FastifyInstance, options: OwnSessionOptions): Promise<void> {
  if (!app.hasDecorator('signCookie') && options.manager.php === undefined) {
    throw new InvalidOptionError('@fastify/cookie has no secret to sign with: app.register(cookie, { secret }).')
  }
  const { manager, label = labelOf, clientGoneMs, readOnly, lifetimeSec = options.cookie?.maxAge } = options
  const form = fastifyFormOf(options)
  playLives(app, undefined, (request, reply) => {
    const settings = { label: label(request), lifetimeSec, readOnly: isReadOnly(request, readOnly), clientGoneMs }
    return new OwnSession(manager, new FastifyCookie(form, reply), reply, settings)
  })
}

/** One request's session without @fastify/session: its data, with its methods, is on `request.session`. */
class OwnSession extends RequestSession<Data> implements LivingSession {
  constructor(
    manager: SessionManager,
    private readonly cookie: FastifyCookie,
    private readonly reply: FastifyReply,
    settings: Pick<RequestSettings, 'label' | 'lifetimeSec' | 'readOnly' | 'clientGoneMs'>,
  ) {
    super(manager, { ...settings, errorOf: toHttpError, dressed: (data, isOwn) => withSessionMethods(data, isOwn, this) })
  }

  open(): Promise<void> {
    return this.read(this.cookie.id)
  }

  async decide(): Promise<void> {
    await this.life.decide(() => this.reply.statusCode, this.storeAndLetGo)
    tellBrowser(this, this.cookie)
  }
}
