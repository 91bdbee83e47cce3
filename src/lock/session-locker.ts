import { ClosedError, type Holder } from '../errors.js'
import { channels } from '../observe/channels.js'
import { hashOf } from '../system/session-hash.js'
import type { Value } from '../wire/wire.js'
import type { House } from './protocol/bell.js'
import { FREE } from './protocol/exchange.js'
import { asFlightError, outcomeUnknown, serverRefused, unavailable } from './protocol/failures.js'
import { acquired, type Asker, type Locker } from './protocol/handle.js'
import { fly, type LockContext, replyAt } from './protocol/lock-context.js'
import { readToken } from './protocol/lock-token.js'
import { traceAcquire } from './protocol/observed.js'
import { OrphanSweeper } from './orphan-sweeper.js'
import { ending, hasEnded } from './protocol/record.js'
import { seizeAndEnd } from './protocol/seizure.js'
import { Turns } from './fairness/turns.js'
import { type SceneLimits, sceneOf, type SessionNow } from './scene.js'
import { SessionTable } from './session-table.js'
import { type UncontendedHost, UncontendedLock } from './uncontended-lock.js'
import { type QueueHost, WaitQueue } from './queue/wait-queue.js'

/** A lock that this process holds. */
export interface LocalLock {
  /** A short keyed hash of the session id, the same as in errors and events. */
  readonly session: string
  /** What the holder called itself (its route, for example). */
  readonly label: string | undefined
  /** When the lock was taken, in milliseconds since 1970. */
  readonly sinceMs: number
  readonly heldMs: number
  /** How much of the lease is left if the lock is not renewed, in milliseconds; 0 when it has expired. */
  readonly leaseLeftMs: number
  /** How many requests of this process wait for the session. */
  readonly waiting: number
}

/**
 * Lets requests enter a session one at a time. A request that is alone with its session has no queue
 * (`UncontendedLock`); the second request for the session makes one (`WaitQueue`).
 */
export class SessionLocker implements Locker, QueueHost, UncontendedHost, House {
  private readonly sessions = new SessionTable<UncontendedLock | WaitQueue>()
  private readonly turns: Turns
  private readonly orphans: OrphanSweeper
  private closing: Promise<void> | undefined
  private whenIdle: (() => void) | undefined

  constructor(private readonly context: LockContext) {
    this.turns = new Turns(context)
    this.orphans = new OrphanSweeper(context, (id) => this.sessions.get(id) !== undefined)
  }

  acquire(id: string, asker: Asker, isTold = false): void {
    if (channels.acquire.isObserved && !isTold) return this.acquireObserved(id, asker)
    this.assertOpen()
    asker.options.signal?.throwIfAborted()
    const nowMs = this.context.clock.nowMs()
    const found = this.sessions.get(id)
    if (found !== undefined) return (found instanceof UncontendedLock ? found.contest() : found).acquire(asker, nowMs)
    this.context.bell?.open(this)
    if (this.turns.wantQueue(id, nowMs)) return this.acquireInTurn(id, asker, nowMs)
    const lock = new UncontendedLock(this.context, this, id, asker, nowMs)
    this.sessions.add(lock)
    lock.acquire()
  }

  private acquireObserved(id: string, asker: Asker): void {
    const { options } = asker
    const unobserved = {
      acquire: (ofId: string, other: Asker) => {
        this.acquire(ofId, other, true)
      },
    }
    traceAcquire(this.context, id, options.label, () => acquired(unobserved, id, options)).then(
      (handle) => {
        asker.acquired(handle)
      },
      (reason: unknown) => {
        asker.refused(reason)
      },
    )
  }

  /**
   * While a lock of an earlier instance may be left on the server, that instance's name is used again, so that the lock
   * is recognised as our own and taken over. With a new name it would have to be waited for.
   */
  instanceFor(id: string): string {
    return this.orphans.instanceOf(id) ?? this.context.mint.instance()
  }

  turnOf(id: string, nowMs: number): number {
    return this.turns.startOf(id, nowMs)
  }

  /** Strangers may have to have their turn first. */
  private acquireInTurn(id: string, asker: Asker, nowMs: number): void {
    const keys = this.context.layout.keysOf(id)
    const session = { id, keys, instance: this.instanceFor(id), turnStartedAtMs: this.turnOf(id, nowMs) }
    const queue = new WaitQueue(this.context, session, this.turns.enter(session), this)
    this.sessions.add(queue)
    queue.acquire(asker, nowMs)
  }

  contest(lock: UncontendedLock): WaitQueue {
    const { session } = lock
    const queue = new WaitQueue(this.context, session, this.turns.of(session), this)
    this.sessions.replace(lock, queue)
    return queue
  }

  async peek(id: string): Promise<Value | undefined> {
    const reply = await this.one(id, { op: 'get', key: this.context.layout.keysOf(id).record })
    return reply.value
  }

  async destroy(id: string): Promise<void> {
    const keys = this.context.layout.keysOf(id)
    if (this.context.wire.quorum !== undefined) {
      this.assertOpen()
      const failure = await seizeAndEnd(this.context, id, keys)
      if (failure !== undefined) throw failure
      return
    }
    const reply = await this.one(id, ending(this.context, keys))
    if (!hasEnded(reply)) throw serverRefused(this.context, id, reply)
  }

  /** The holder of the lock of `id`, in any process; undefined when the lock is free. One flight. */
  async holderOf(id: string): Promise<Holder | undefined> {
    const reply = await this.one(id, { op: 'get', key: this.context.layout.keysOf(id).lock })
    return reply.value === undefined ? undefined : readToken(reply.value).holder
  }

  get held(): number {
    let held = 0
    for (const session of this.sessions.all()) if (session.heldLock !== undefined) held++
    return held
  }

  /** The locks that are held here now, the longest hold first. */
  locks(): LocalLock[] {
    const wallMs = this.context.clock.wallMs()
    const found = this.sessions.all().flatMap(({ id, heldLock, waiting }) => {
      if (heldLock === undefined) return []
      const { heldMs, leaseLeftMs, token } = heldLock
      const { label } = readToken(token).holder
      return [{ session: hashOf(id), label, sinceMs: wallMs - heldMs, heldMs, leaseLeftMs, waiting }]
    })
    return found.sort((one, other) => other.heldMs - one.heldMs)
  }

  /** Who has what here now, and who waits. */
  scene(limits: SceneLimits): SessionNow[] {
    return sceneOf(this.sessions.all(), this.context.clock.nowMs(), limits)
  }

  get waiting(): number {
    let waiting = 0
    for (const session of this.sessions.all()) waiting += session.waiting
    return waiting
  }

  /** How long the longest present wait has lasted so far, in milliseconds; 0 when nobody waits. */
  get longestWaitMs(): number {
    let sinceMs = Infinity
    for (const { waitingSinceMs } of this.sessions.all()) sinceMs = Math.min(sinceMs, waitingSinceMs)
    return sinceMs === Infinity ? 0 : this.context.clock.nowMs() - sinceMs
  }

  close(graceMs: number): Promise<void> {
    this.closing ??= this.shutDown(graceMs)
    return this.closing
  }

  onOrphan({ id, instance }: WaitQueue): void {
    this.orphans.watch(id, instance)
  }

  onLet({ instance }: WaitQueue): void {
    this.context.bell?.freed(instance)
  }

  has(id: string, instance: string): boolean {
    const one = this.sessions.get(id)
    if (one?.instance !== instance) return false
    // Where votes were split the lock of each side stands on some nodes for a moment, and nobody holds it: two queues that
    // waited at each other would wait for nothing.
    return this.context.wire.quorum === undefined || !(one instanceof WaitQueue) || one.heldLock !== undefined
  }

  onIdle(left: UncontendedLock | WaitQueue): void {
    if (!this.sessions.remove(left)) return
    this.context.bell?.freed(left.instance)
    this.turns.remember(left.id, left.turnStartedAtMs, this.context.clock.nowMs())
    if (this.sessions.size === 0) this.whenIdle?.()
  }

  private async shutDown(graceMs: number): Promise<void> {
    for (const queue of this.allContested()) queue.close()
    if (this.sessions.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = this.context.clock.setTimer(resolve, graceMs)
        this.whenIdle = () => {
          timer.cancel()
          resolve()
        }
      })
    }
    const left = this.allContested().flatMap((queue) => queue.heldLock ?? [])
    await Promise.all(
      left.map(async (lock) => {
        if (lock.lose('closed')) await lock.surrender(FREE)
      }),
    )
    await this.orphans.close()
    this.context.bell?.close()
    this.context.alarms.close()
  }

  private allContested(): WaitQueue[] {
    return this.sessions.all().map((session) => (session instanceof UncontendedLock ? session.contest() : session))
  }

  private async one(id: string, command: Parameters<typeof fly>[2][number]): Promise<ReturnType<typeof replyAt>> {
    this.assertOpen()
    try {
      return replyAt(await fly(this.context, id, [command]), 0)
    } catch (thrown) {
      const failure = asFlightError(thrown)
      throw failure.outcome === 'unknown' && command.op !== 'get' ? outcomeUnknown(id, failure) : unavailable(this.context, id, failure)
    }
  }

  private assertOpen(): void {
    if (this.closing !== undefined) throw new ClosedError('The manager is closed; make a new SessionManager.')
  }
}
