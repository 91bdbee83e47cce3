import type { FastifyReply, FastifyRequest } from 'fastify'
import { ClientGoneError } from '../../../request/leaving.js'
import { toHttpError } from '../../http/http-error.js'
import { RequestSession, type RequestSettings } from '../../../request/request-session.js'
import type { SessionManager } from '../../../session/session-manager.js'
import type { SessionBinding } from '../life-cycle.js'
import type { SessionCookie } from './session-cookie.js'
import { type Data, withMethods } from './session-methods.js'

/** One request's session without @fastify/session: its data, with its methods, is on `request.session`. */
export class OwnSession implements SessionBinding {
  private readonly gone = new AbortController()
  readonly session: RequestSession<Data>

  constructor(
    private readonly request: FastifyRequest,
    private readonly reply: FastifyReply,
    private readonly cookie: SessionCookie,
    manager: SessionManager,
    settings: Pick<RequestSettings, 'label' | 'lifetimeSec' | 'readOnly'>,
  ) {
    this.session = new RequestSession<Data>(manager, {
      ...settings,
      signal: this.gone.signal,
      errorOf: toHttpError,
      dressed: (data, isOwn) => withMethods(data, isOwn, this),
    })
  }

  begin(): Promise<void> {
    return this.session.read(this.cookie.idOf(this.request))
  }

  async decide(): Promise<void> {
    const { session, request, reply } = this
    await session.settle(reply.statusCode >= 400)
    const { cookieId: id, maxAge, isCookieTimed: isTimed } = session
    if (id === null) this.cookie.clear(request, reply)
    else if (id !== undefined) this.cookie.set(request, reply, { id, maxAge, isTimed })
  }

  giveUpWaiting(): void {
    this.gone.abort(new ClientGoneError('The client has gone.'))
  }

  finish(): Promise<void> {
    return this.session.abandon()
  }
}
