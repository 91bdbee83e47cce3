/** Type tests: `npm run check` fails when a line that must compile does not, or one that must not does. */
import { trace } from '@opentelemetry/api'
import * as devalue from 'devalue'
import session from 'express-session'
import {
  type ErrorCode,
  type FlightEvent,
  type Holder,
  LatchkeyError,
  LockTimeoutError,
  type Mutex,
  ReadOnlyError,
  type ManagerStats,
  type Session,
  SessionManager,
  SessionStore,
  UnserializableError,
  type Wire,
} from 'latchkey'
import { type BareStore, latchkey, readOnly } from 'latchkey/express'
import { instrumentOpenTelemetry } from 'latchkey/opentelemetry'
import { instrumentPrometheus } from 'latchkey/prometheus'
import { decodePhpSession, encodePhpSession, type PhpHandler, PhpObject } from 'latchkey/php'
import { type MakeWireSubject, playRaces, SeededRandom, VirtualClock, type WireConformance, wireConformance } from 'latchkey/testing'
import { Registry } from 'prom-client'
import superjson from 'superjson'

interface Cart {
  items: string[]
  total: number
}

export async function mutexes(manager: SessionManager): Promise<void> {
  const mutex: Mutex = manager.mutex('report')
  const length: number = await mutex.run(async ({ signal, isHeld }) => (isHeld && !signal.aborted ? 'yes'.length : 0), { label: 'cron' })
  await using hold = await mutex.tryLock()
  // @ts-expect-error somebody else may have it
  await hold.release()
  const token: number | undefined = await hold?.fencingToken()
  // @ts-expect-error there is no duration to guess
  await mutex.lock({ leaseSec: 5 })
  // @ts-expect-error made by the manager
  new Mutex('report')
  console.log(length, token)
}

export async function managers(): Promise<void> {
  const manager = new SessionManager({ savePath: 'memory:', leaseSec: 5, clock: new VirtualClock(), random: new SeededRandom(1) })
  // @ts-expect-error numbers are numbers
  new SessionManager({ leaseSec: '5' })
  // @ts-expect-error there is no such option
  new SessionManager({ leaseMs: 5000 })

  const cart: Session<Cart> = await manager.start<Cart>('id', { strict: true, label: 'GET /', signal: AbortSignal.abort() })
  await manager.run('id', () => undefined, { ifExists: true })
  // What was stored may be anything less than the whole: every field may be missing.
  const total: number | undefined = cart.data.total
  // @ts-expect-error a field may be missing
  const certain: number = cart.data.total
  // @ts-expect-error a total is a number
  cart.data.total = 'much'
  await cart.regenerate({ keepOld: true })
  cart.lifetimeSec = 86_400
  cart.lifetimeSec = undefined
  // @ts-expect-error seconds are a number
  cart.lifetimeSec = '60'

  await cart.regenerate({ retiredCopySec: 10 })
  // @ts-expect-error seconds are a number
  await cart.regenerate({ retiredCopySec: '10' })
  const feed: Session<Cart> = await manager.start<Cart>('id', { readOnly: true })
  const isReadOnly: boolean = feed.isReadOnly
  // @ts-expect-error it follows from how the session was started
  feed.isReadOnly = false

  const sum: number = await manager.run<Cart, number>('id', (one) => one.data.total ?? 0)
  const untyped = await manager.start('id')
  const unknown: unknown = untyped.data['anything']
  const peeked: Partial<Cart> | undefined = await manager.peek<Cart>('id')
  const holder: Holder | undefined = await manager.holder('id')
  const stats: ManagerStats = manager.stats()
  manager.on('lost', ({ session: hash, reason }) => [hash, reason === 'taken'])
  manager.on('slow', ({ session: hash, label, heldMs }) => [hash, label?.length, heldMs.toFixed()])
  const failed: number | undefined = stats.nodes['tcp://127.0.0.1:11211']?.failed
  const stops: (() => void)[] = [
    instrumentPrometheus(manager, { registry: new Registry() }),
    instrumentOpenTelemetry(manager, { tracerProvider: trace.getTracerProvider() }),
  ]
  const told: (event: FlightEvent) => (string | undefined)[] = ({ node, outcome, operations }) => [node?.name, outcome, ...operations]
  void [failed, stops, told]
  // @ts-expect-error there is no such event
  manager.on('gone', () => undefined)
  const [held] = manager.locks()
  const heldMs: number | undefined = held?.heldMs
  for await (const { id, data, error } of manager.all<Cart>()) {
    const code: ErrorCode | undefined = error?.code
    // @ts-expect-error what cannot be read has no data
    const certainly: object = data
    void [id.length, data?.total?.toFixed(), code, certainly]
    if (error === undefined) void data.total
  }
  for await (const id of manager.ids()) void id.length
  const counts: number[] = [await manager.length(), await manager.clear()]
  void [heldMs, counts]
  await manager.close({ graceMs: 1 })
  void [total, certain, isReadOnly, sum, unknown, peeked, holder, stats]
}

export async function records(): Promise<void> {
  const secret = Buffer.alloc(32)
  new SessionManager({ serializer: superjson, encryption: { keys: [{ id: 'a', secret }, { id: 'b', secret: '' }], acceptPlain: true } })
  new SessionManager({ serializer: devalue, compression: { aboveBytes: 1000 } })
  // @ts-expect-error a key has an id
  new SessionManager({ encryption: { keys: [{ secret }] } })
  // @ts-expect-error a size is a number
  new SessionManager({ compression: { maxBytes: '1 MB' } })
  const path: string | undefined = new UnserializableError('', {}).path
  void path
}

export async function wires(wire: Wire): Promise<void> {
  const make: MakeWireSubject = (options) =>
    Promise.resolve({ wire, advance: (ms) => new VirtualClock().advance(options?.small === true ? ms : 0), close: () => wire.close() })
  const suite: WireConformance = wireConformance(make)
  for (const { name, run } of suite.cases) await run().catch((error: unknown) => [name.length, error])
  await suite.close()
  const name: string | undefined = wire.store?.name
  const system: string | undefined = wire.nodeOf?.('id').system
  void [name, system]
  // @ts-expect-error a subject has a wire
  wireConformance(() => Promise.resolve({ advance: () => Promise.resolve(), close: () => Promise.resolve() }))
}

export async function stores(store: SessionStore): Promise<void> {
  const opened: true = await store.open('memory:', 'PHPSESSID')
  const data: string = await store.read('id', { label: 'x' })
  const written: true = await store.write('id', data, { lifetimeSec: 60 })
  const known: boolean = await store.validateId('id')
  const removed: number = await store.gc(1440)
  const sid: string = store.createSid()
  const retired: true = await store.retire('id', 10)
  const isCopy: boolean = store.isRetired
  // @ts-expect-error data is text
  await store.write('id', { user: 'ada' })
  void [opened, written, known, removed, sid, retired, isCopy]
}

export function errors(error: unknown): ErrorCode | undefined {
  if (error instanceof ReadOnlyError) {
    const reason: 'readOnly' | 'released' | 'aborted' | 'destroyed' | 'retired' = error.reason
    return reason === 'retired' ? error.code : undefined
  }
  if (error instanceof LockTimeoutError) {
    const code: 'LATCHKEY_LOCK_TIMEOUT' = error.code
    return error.waitedMs > 0 ? code : undefined
  }
  return error instanceof LatchkeyError ? error.code : undefined
}

export async function adapters(manager: SessionManager): Promise<void> {
  const middleware = latchkey({ manager, secret: 's', resave: false, saveUninitialized: false, ttl: (one) => one.cookie.maxAge ?? 60 })
  const store: BareStore = middleware.store
  latchkey({ manager, secret: 's', readOnly: (req) => req.method === 'HEAD', touchAfter: 60, disableTouch: false })
  // @ts-expect-error it is a function of the request
  latchkey({ manager, secret: 's', readOnly: true })
  const released = (req: Parameters<typeof readOnly>[0]): Promise<void> => req.session.release()
  const listed: (session.SessionData & { readonly id: string })[] = await store.all()
  const ids: string[] = await store.ids()
  void ids
  store.length((error: unknown, length?: number) => [error, length])
  void listed
  // @ts-expect-error the sessions are the manager's
  latchkey({ manager, secret: 's', store: new session.MemoryStore() })
  // @ts-expect-error a manager is needed
  latchkey({ secret: 's' })
  await playRaces({ middleware: () => middleware, patienceMs: 10 })
  void [store, released]
}

export function php(bytes: Buffer, handler: PhpHandler): Buffer {
  const session: Record<string, unknown> = decodePhpSession(bytes, handler)
  const { user } = session
  if (user instanceof PhpObject) session['name'] = user.properties['name']
  // @ts-expect-error igbinary cannot be read
  decodePhpSession(bytes, 'igbinary')
  return encodePhpSession(session, 'php_serialize')
}
