import type { FastifyReply } from 'fastify'
import { RequestSession, type RequestSettings } from '../../../request/request-session.js'
import type { SessionManager } from '../../../session/session-manager.js'
import { toHttpError } from '../../http/http-error.js'
import { tellBrowser } from '../../http/own-cookie.js'
import type { LivingSession } from '../life-cycle.js'
import { FastifyCookie, type FastifyCookieForm } from './session-cookie.js'
import { type Data, withSessionMethods } from './session-methods.js'

/** One request's session without @fastify/session: its data, with its methods, is on `request.session`. */
export class OwnSession extends RequestSession<Data> implements LivingSession {
  private readonly cookie: FastifyCookie

  constructor(
    manager: SessionManager,
    form: FastifyCookieForm,
    private readonly reply: FastifyReply,
    settings: Pick<RequestSettings, 'label' | 'lifetimeSec' | 'readOnly' | 'clientGoneMs'>,
  ) {
    super(manager, { ...settings, errorOf: toHttpError, dressed: (data, isOwn) => withSessionMethods(data, isOwn, this) })
    this.cookie = new FastifyCookie(form, reply)
  }

  open(): Promise<void> {
    return this.read(this.cookie.id)
  }

  async decide(): Promise<void> {
    await this.life.decide(() => this.reply.statusCode, this.storeAndLetGo)
    tellBrowser(this, this.cookie)
  }
}
