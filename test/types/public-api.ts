/** Type tests: `npm run check` fails when a line that must compile does not, or one that must not does. */
import session from 'express-session'
import {
  type ErrorCode,
  type Holder,
  LatchkeyError,
  LockTimeoutError,
  type ManagerStats,
  type Session,
  SessionManager,
  SessionStore,
} from 'latchkey'
import { type BareStore, latchkey } from 'latchkey/express'
import { playRaces, SeededRandom, VirtualClock } from 'latchkey/testing'

interface Cart {
  items: string[]
  total: number
}

export async function managers(): Promise<void> {
  const manager = new SessionManager({ savePath: 'memory:', leaseSec: 5, clock: new VirtualClock(), random: new SeededRandom(1) })
  // @ts-expect-error numbers are numbers
  new SessionManager({ leaseSec: '5' })
  // @ts-expect-error there is no such option
  new SessionManager({ leaseMs: 5000 })

  const cart: Session<Cart> = await manager.start<Cart>('id', { strict: true, label: 'GET /', signal: AbortSignal.abort() })
  // What was stored may be anything less than the whole: every field may be missing.
  const total: number | undefined = cart.data.total
  // @ts-expect-error a field may be missing
  const certain: number = cart.data.total
  // @ts-expect-error a total is a number
  cart.data.total = 'much'
  await cart.regenerate({ keepOld: true })

  const sum: number = await manager.run<Cart, number>('id', (one) => one.data.total ?? 0)
  const untyped = await manager.start('id')
  const unknown: unknown = untyped.data['anything']
  const peeked: Partial<Cart> | undefined = await manager.peek<Cart>('id')
  const holder: Holder | undefined = await manager.holder('id')
  const stats: ManagerStats = manager.stats()
  manager.on('lost', ({ session: hash, reason }) => [hash, reason === 'taken'])
  // @ts-expect-error there is no such event
  manager.on('gone', () => undefined)
  await manager.close({ graceMs: 1 })
  void [total, certain, sum, unknown, peeked, holder, stats]
}

export async function stores(store: SessionStore): Promise<void> {
  const opened: true = await store.open('memory:', 'PHPSESSID')
  const data: string = await store.read('id', { label: 'x' })
  const written: true = await store.write('id', data, { lifetimeSec: 60 })
  const known: boolean = await store.validateId('id')
  const removed: number = await store.gc(1440)
  const sid: string = store.createSid()
  // @ts-expect-error data is text
  await store.write('id', { user: 'ada' })
  void [opened, written, known, removed, sid]
}

export function errors(error: unknown): ErrorCode | undefined {
  if (error instanceof LockTimeoutError) {
    const code: 'LATCHKEY_LOCK_TIMEOUT' = error.code
    return error.waitedMs > 0 ? code : undefined
  }
  return error instanceof LatchkeyError ? error.code : undefined
}

export async function adapters(manager: SessionManager): Promise<void> {
  const middleware = latchkey({ manager, secret: 's', resave: false, saveUninitialized: false, ttl: (one) => one.cookie.maxAge ?? 60 })
  const store: BareStore = middleware.store
  // @ts-expect-error the sessions are the manager's
  latchkey({ manager, secret: 's', store: new session.MemoryStore() })
  // @ts-expect-error a manager is needed
  latchkey({ secret: 's' })
  await playRaces({ middleware: () => middleware, patienceMs: 10 })
  void store
}
