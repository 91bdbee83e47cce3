import type { FastifySessionObject } from '@fastify/session'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { LatchkeyError } from '../../../errors.js'
import { checkedIds } from '../../http/checked-id.js'
import { BareSessions } from '../../http/bare-sessions.js'
import { HeldSession } from '../../http/held-session.js'
import { DEFAULT_GRACE_MS } from '../../http/options.js'
import { LifeCycle } from '../life-cycle.js'
import { isReadOnly, labelOf, type LatchkeyOptions } from '../options.js'
import { BareStore, recordOf } from './bare-store.js'
import { loadFastifySession } from './hooks.js'
import { LockedRequest } from './locked-request.js'
import { RequestStore } from './request-store.js'

interface Served {
  readonly locked: LockedRequest
  readonly life: LifeCycle
}

/** Everything that @fastify/session adds to an application, with a store for each request. */
export async function registerFastifySession(app: FastifyInstance, options: LatchkeyOptions): Promise<void> {
  const { manager, ttl, touchAfter = 0, disableTouch = false, ...others } = options
  const { label = labelOf, graceMs = DEFAULT_GRACE_MS, readOnly, ...rest } = others
  const idGenerator = checkedIds({ name: 'idGenerator', make: rest.idGenerator }, () => manager.createSid())
  const given = { ...rest, idGenerator }
  const { rolling = true, saveUninitialized = true } = given
  const record = recordOf(manager, ttl, disableTouch ? Infinity : touchAfter)
  const onUnreadable = (error: LatchkeyError): void => {
    app.log.warn(error, 'a session was left out of the list')
  }
  const sessions = new BareSessions(manager, record)
  const bareStore = Object.assign(new BareStore(sessions), { onUnreadable })
  const hooksFor = await loadFastifySession(app, given)
  const bare = hooksFor(bareStore)
  const served = new WeakMap<object, Served>()
  const lockedOf = (request: object): LockedRequest | undefined => served.get(request)?.locked

  app.decorate('decryptSession', (id: string, request: object, ...rest: Rest) => {
    const { decryptSession } = lockedOf(request)?.hooks ?? bare
    Reflect.apply(decryptSession, app, [id, request, ...rest])
  })
  app.decorateRequest('sessionStore', {
    getter(this: FastifyRequest) {
      return lockedOf(this)?.store ?? bareStore
    },
  })
  app.decorateRequest('session', {
    getter(this: FastifyRequest) {
      // Null before its time, as @fastify/session has it; its types do not say so.
      return (lockedOf(this)?.current ?? null) as FastifySessionObject
    },
    setter(this: FastifyRequest, session: FastifySessionObject) {
      const locked = lockedOf(this)
      if (locked !== undefined) locked.current = session
    },
  })

  app.addHook('onRequest', (request, reply, done) => {
    const held = new HeldSession(manager, sessions, label(request), isReadOnly(request, readOnly) ? 'readOnly' : undefined)
    const store = Object.assign(new RequestStore(held, sessions), { onUnreadable })
    const isSavedUnchanged = ({ sessionId: id }: FastifySessionObject): boolean =>
      held.isKnown(id) ? rolling : saveUninitialized
    const locked = new LockedRequest(request, reply, held, record, store, hooksFor(store), isSavedUnchanged)
    const life = new LifeCycle(locked, reply, graceMs)
    served.set(request, { locked, life })
    life.onRequest(done)
  })
  app.addHook('onSend', (request, _reply, payload, done) => {
    const life = served.get(request)?.life
    if (life === undefined) done()
    else life.onSend(payload, done)
  })
}

type Rest = [cookieOptions: object, done: (error?: Error) => void] | [done: (error?: Error) => void]
