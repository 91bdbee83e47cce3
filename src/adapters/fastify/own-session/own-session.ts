import type { FastifyReply, FastifyRequest } from 'fastify'
import { RequestSession, type RequestSettings } from '../../../request/request-session.js'
import { toHttpError } from '../../http/http-error.js'
import { tellBrowser } from '../../http/own-cookie.js'
import type { LivingSession } from '../life-cycle.js'
import type { OwnSessionOptions } from '../options.js'
import { FastifyCookie } from './session-cookie.js'
import { type Data, withSessionMethods } from './session-methods.js'

/** One request's session without @fastify/session: its data, with its methods, is on `request.session`. */
export class OwnSession extends RequestSession<Data> implements LivingSession {
  constructor(
    private readonly request: FastifyRequest,
    private readonly reply: FastifyReply,
    private readonly options: OwnSessionOptions,
    settings: Pick<RequestSettings, 'label' | 'lifetimeSec' | 'readOnly' | 'clientGoneMs'>,
  ) {
    super(options.manager, { ...settings, errorOf: toHttpError, dressed: (data, isOwn) => withSessionMethods(data, isOwn, this) })
  }

  /** @fastify/cookie has parsed the cookies by now. */
  open(): Promise<void> {
    return this.read(this.cookie.id)
  }

  async decide(): Promise<void> {
    await this.life.decide(() => this.reply.statusCode, this.storeAndLetGo)
    tellBrowser(this, this.cookie)
  }

  private get cookie(): FastifyCookie {
    return new FastifyCookie(this.options, this.request, this.reply)
  }
}
