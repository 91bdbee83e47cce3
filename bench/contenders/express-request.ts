/**
 * What a request through express-session does with its session, without HTTP: the request's own store, which locks in
 * `get`; express-session's Session; and `save()` at the end, which stores and lets go. Two flights.
 */
import type session from 'express-session'
import type { ExpressStore } from '../../src/adapters/express/express-store.js'
import type { SessionData } from '../support/record.js'
import { type Contender, idOf } from './contender.js'
import type { ExpressStore as BareContender } from './express-store.js'

type Request = Parameters<session.Store['createSession']>[0]
type Session = ReturnType<session.Store['createSession']>

export class ExpressRequests implements Contender {
  constructor(
    readonly name: string,
    private readonly newStore: () => ExpressStore,
    /** Stores what the sessions are before, and closes. */
    private readonly bare: BareContender,
  ) {}

  seed(index: number): Promise<void> {
    return this.bare.seed(index)
  }

  async cycle(index: number): Promise<void> {
    const store = this.newStore()
    const session = await this.load(store, idOf(index))
    session.n++
    // As the end of a response says it.
    store.held.calls.isAnswering = true
    await this.save(session)
  }

  close(): Promise<void> {
    return this.bare.close()
  }

  private load(store: ExpressStore, sessionID: string): Promise<Session & SessionData> {
    return new Promise((resolve, reject) => {
      store.get(sessionID, (error: unknown, data) => {
        const req = { sessionID, sessionStore: store } as unknown as Request
        const created = data === null || data === undefined ? undefined : store.createSession(req, data)
        if (created !== undefined && 'n' in created) resolve(created as Session & SessionData)
        else reject(new Error(`${this.name} lost session ${sessionID}`, { cause: error }))
      })
    })
  }

  private save(session: Session): Promise<void> {
    return new Promise((resolve, reject) => {
      session.save((error: unknown) => {
        if (error === undefined || error === null) resolve()
        else reject(new Error(`${this.name} did not store a session`, { cause: error }))
      })
    })
  }
}
