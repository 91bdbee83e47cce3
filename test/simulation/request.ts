import { LatchkeyError } from '../../src/errors.js'
import type { Session } from '../../src/session/session.js'
import type { SessionStore } from '../../src/session/session-store.js'
import { type Attempt, type Destroy, opsOf, type Stay } from './truth.js'
import type { Plan } from './scenario.js'
import type { SimulatedProcess, World } from './world.js'

/** How a request uses a session: by a SessionStore, or by a Session. */
interface Face {
  read(): Promise<string>
  save(text: string): Promise<unknown>
  end(kind: 'write' | 'touch', text: string): Promise<unknown>
  destroy(): Promise<unknown>
  close(): Promise<unknown>
  readonly isHeld: boolean
}

const textOf = (ops: string): string => JSON.stringify({ ops: ops.split(' ') })

/** One request. It carries out its plan on the shipped code, and the rules see every call and how it ends. */
export class Request {
  session: string
  /** 'held' is the time from the successful read to the call that releases the session. */
  phase: 'idle' | 'waiting' | 'held' | 'leaving' | 'over' = 'idle'
  invokedAtMs = 0
  arrivedAtMs = 0
  /** See Rules.heldLabel(). */
  lockLabel: string | undefined
  /** Whether no other request used the session in this request's time. */
  isAlone = true
  /** The session's content, as far as this request knows, and since when it knows. */
  base = ''
  baseAtMs = 0
  heldSinceMs = Infinity
  private face: Face | undefined
  private flightsDue = 0
  private readonly stays: Stay[] = []

  constructor(
    readonly world: World,
    readonly process: SimulatedProcess,
    readonly plan: Plan,
  ) {
    this.session = plan.session
  }

  get name(): string {
    return this.plan.name
  }

  get believesHeld(): boolean {
    return this.face?.isHeld === true
  }

  get isDead(): boolean {
    return this.process.host.isDead
  }

  async run(): Promise<void> {
    const { world, plan } = this
    world.active.add(this)
    this.arrivedAtMs = world.time.nowMs
    world.rules.arrived(this)
    const flightsBefore = this.flights
    try {
      await this.play()
    } catch (failure) {
      this.judgeFailure(failure)
      return
    } finally {
      this.phase = 'over'
      // A session that nobody releases (a leak) is kept alive until maxHoldMs, even if the request has failed.
      if (plan.end !== 'leak') for (const stay of this.stays) stay.toMs = this.lastSendingMs
      world.active.delete(this)
      world.rules.ended(this)
    }
    if (this.isAlone && plan.end !== 'leak') world.rules.flights(this, this.flights - flightsBefore, this.flightsDue)
  }

  private get flights(): number {
    return this.process.flights.get(this.plan.session) ?? 0
  }

  /**
   * When this request sends its last command. A renewal that is under way
   * when its manager closes may be sent once more.
   */
  private get lastSendingMs(): number {
    const { world, process } = this
    return world.time.nowMs + (process.isClosing ? 2 * world.flightMs : 0)
  }

  private async play(): Promise<void> {
    const { plan, process } = this
    if (plan.mode === 'peek') return this.peek()
    if (plan.mode === 'destroy') {
      const store = process.manager.store()
      this.flightsDue = 1
      await this.destroying('destroy', () => store.destroy(this.session))
      return
    }
    const face = plan.mode === 'session' ? this.sessionFace() : this.storeFace(process.manager.store())
    try {
      await this.locked(face)
    } finally {
      // This is what an application does in its `finally`; in a leak nobody does it.
      if (plan.end !== 'leak') {
        this.phase = 'leaving'
        await this.call('close', () => face.close())
      }
    }
  }

  private async locked(face: Face): Promise<void> {
    const { plan, process, world } = this
    this.phase = 'waiting'
    const waits = plan.mode === 'strictStore' ? 2 : 1
    const text = await this.call('read', () => face.read(), waits * world.scenario.waitMs, 2 * waits - 1)
    this.phase = 'held'
    this.heldSinceMs = world.time.nowMs
    this.face = face
    this.stay(this.heldSinceMs)
    this.learn(opsOf(text))
    world.rules.wasRead(this, this.base)
    this.flightsDue += 2
    for (const step of plan.steps) {
      await process.host.sleep(step.thinkMs)
      this.flightsDue++
      if (step.kind === 'save') {
        await this.storing('save', (ops) => face.save(textOf(ops))).catch((failure: unknown) => {
          this.judgeFailure(failure)
        })
      } else if (plan.mode === 'store') {
        this.learn(opsOf(await this.call('reload', () => face.read())))
        world.rules.wasRead(this, this.base)
      } else this.flightsDue--
    }
    await process.host.sleep(plan.thinkMs)
    await this.end(face)
  }

  private async end(face: Face): Promise<void> {
    switch (this.plan.end) {
      case 'write':
        this.phase = 'leaving'
        await this.storing('write', (ops) => face.end('write', textOf(ops)))
        return
      case 'touch':
        this.phase = 'leaving'
        await this.call('touch', () => face.end('touch', this.base === '' ? '' : textOf(this.base)))
        return
      case 'destroy':
        this.phase = 'leaving'
        await this.destroying('destroy', () => face.destroy())
        return
      case 'close':
        return
      case 'leak':
        // Nobody releases the session; maxHoldMs ends the hold.
        this.world.cover('leak')
        await this.process.host.sleep(this.world.scenario.maxHoldMs + 50)
        return
      case 'regenerate':
        await this.regenerate()
    }
  }

  /** Notes that from `fromMs` on this request's calls may say how long the session lives. */
  private stay(fromMs: number): void {
    const { world, plan, process } = this
    const stay: Stay = { actor: process.actor, lifetimeSec: plan.lifetimeSec, fromMs, toMs: Infinity }
    this.stays.push(stay)
    world.history.session(this.session).stays.push(stay)
  }

  private learn(ops: string): void {
    this.base = ops
    this.baseAtMs = this.world.time.nowMs
  }

  private async peek(): Promise<void> {
    const { process, world } = this
    this.flightsDue = 1
    const sinceMs = world.time.nowMs
    const data = await this.call('peek', () => process.manager.peek<{ ops: string[] }>(this.session))
    world.rules.wasPeeked(this, data?.ops?.join(' ') ?? '', sinceMs)
  }

  private storeFace(store: SessionStore): Face {
    const { plan } = this
    const signal = this.abortSignal()
    const { lifetimeSec } = plan
    const options = { label: this.name, lifetimeSec, ...(signal === undefined ? {} : { signal }) }
    return {
      read: async () => {
        if (plan.mode === 'strictStore' && this.phase === 'waiting' && !(await store.validateId(plan.session, options))) {
          this.flightsDue += 2
        }
        return store.read(plan.session, options)
      },
      save: (text) => store.save(plan.session, text, { lifetimeSec }),
      end: (kind, text) =>
        kind === 'write'
          ? store.write(plan.session, text, { lifetimeSec })
          : store.updateTimestamp(plan.session, text, { lifetimeSec }),
      destroy: () => store.destroy(plan.session),
      close: () => store.close(),
      get isHeld() {
        return store.isHeld
      },
    }
  }

  private sessionFace(): Face {
    const { manager } = this.process
    const signal = this.abortSignal()
    let session: Session<{ ops: string[] }> | undefined
    const started = (): Session<{ ops: string[] }> => {
      if (session === undefined) throw new Error('not started')
      return session
    }
    const put = (text: string): Session<{ ops: string[] }> => {
      const data: { ops: string[] } = text === '' ? { ops: [] } : JSON.parse(text)
      if (text === '') delete started().data.ops
      else started().data.ops = data.ops
      return started()
    }
    this.regenerate = async () => {
      const old = started()
      // The text includes what a save() could not store, because the session's data has it.
      const text = old.data.ops?.join(' ') ?? ''
      const sinceMs = this.world.time.nowMs
      await this.destroying('regenerate', () => old.regenerate(), { hooks: 4, isRetiring: true })
      this.world.cover('regenerate')
      this.world.rules.ended(this)
      this.session = old.id
      // The regenerate has kept the new session alive already, and a command that it sent may be carried out only now.
      this.stay(sinceMs)
      this.learn(text)
      this.phase = 'leaving'
      this.isAlone = false
      await this.storing('release', (ops) => put(textOf(ops)).release())
    }
    return {
      read: async () => {
        const options = { label: this.name, lifetimeSec: this.plan.lifetimeSec, ...(signal === undefined ? {} : { signal }) }
        session = await manager.start(this.plan.session, options)
        return session.data.ops === undefined ? '' : textOf(session.data.ops.join(' '))
      },
      save: (text) => put(text).save(),
      end: (_kind, text) => put(text).release(),
      destroy: () => started().destroy(),
      close: async () => session?.abort(),
      get isHeld() {
        return session?.isHeld === true
      },
    }
  }

  private regenerate = (): Promise<void> => Promise.resolve()

  private abortSignal(): AbortSignal | undefined {
    const { abortAfterMs } = this.plan
    if (abortAfterMs === undefined) return undefined
    const controller = new AbortController()
    const { host } = this.process
    host.setTimer(() => {
      if (this.phase !== 'waiting' || this.plan.mode === 'strictStore') return
      this.world.cover('abort')
      this.world.timeline.add(this.name, () => 'aborts')
      controller.abort(new Error('aborted'))
      host.setTimer(() => {
        if (this.phase === 'waiting') this.world.accuse('abortIgnored', `${this.name} still waits after its abort`)
      }, 1)
    }, abortAfterMs)
    return controller.signal
  }

  /** Makes a call that stores one new operation at the end of the list. */
  private async storing(what: string, work: (ops: string) => Promise<unknown>): Promise<void> {
    const { world } = this
    const op = `o${String(world.history.attempts.size + 1)}`
    const text = this.base === '' ? op : `${this.base} ${op}`
    const attempt: Attempt = {
      ...{ op, session: this.session, request: this.name, base: this.base, text, baseAtMs: this.baseAtMs },
      invokedAtMs: world.time.nowMs,
      outcome: 'pending',
      stored: 0,
      removed: undefined,
    }
    world.history.attempts.set(op, attempt)
    try {
      await this.call(`${what} ${op}`, () => work(text))
    } catch (failure) {
      attempt.outcome = isUnknown(failure) ? 'unknown' : 'refused'
      world.rules.wasRefused(attempt, failure)
      throw failure
    }
    attempt.outcome = 'acked'
    this.learn(text)
    world.rules.wasAcked(attempt)
  }

  private async destroying(what: string, work: () => Promise<unknown>, { hooks = 1, isRetiring = false } = {}): Promise<void> {
    const { world } = this
    const destroy: Destroy = {
      ...{ actor: this.process.actor, session: this.session, invokedAtMs: world.time.nowMs, settledAtMs: Infinity },
      base: this.base,
      outcome: 'pending',
      isRetiring,
      executed: 'no',
    }
    world.history.session(this.session).destroys.push(destroy)
    try {
      await this.call(what, work, 0, hooks)
      destroy.outcome = 'acked'
    } catch (failure) {
      // A regenerate that fails has not ended the old session, whichever of its parts has failed.
      destroy.outcome = isUnknown(failure) && !isRetiring ? 'unknown' : 'refused'
      throw failure
    } finally {
      destroy.settledAtMs = world.time.nowMs
      world.rules.wasDestroyed(this, destroy)
    }
  }

  /** Makes one call of the shipped code: counts it, times it, and writes it into the timeline. */
  private async call<T>(what: string, work: () => Promise<T>, waitMs = 0, hooks = 1): Promise<T> {
    const { world, process } = this
    const startedMs = world.time.nowMs
    const pausedMs = process.host.pausedMs
    const who = `p${String(process.actor)} ${this.name}`
    this.invokedAtMs = startedMs
    world.operations++
    world.timeline.add(who, () => `${what} ${this.session}`)
    let answer = 'ok'
    try {
      const result = await work()
      world.acknowledged++
      if (typeof result === 'string') answer = `"${opsOf(result)}"`
      return result
    } catch (failure) {
      answer = nameOf(failure)
      throw failure
    } finally {
      world.timeline.add(who, () => `${what} ${this.session}: ${answer}`)
      const tookMs = world.time.nowMs - startedMs - (process.host.pausedMs - pausedMs)
      world.rules.took(this, what, tookMs, waitMs + hooks * world.scenario.deadlineMs)
    }
  }

  private judgeFailure(failure: unknown): void {
    if (failure instanceof Error && failure.message === 'aborted') return
    this.world.rules.failed(this, failure)
  }
}

export const nameOf = (failure: unknown): string =>
  failure instanceof LatchkeyError ? failure.code : failure instanceof Error ? `${failure.name}: ${failure.message}` : String(failure)

const isUnknown = (failure: unknown): boolean =>
  failure instanceof LatchkeyError && failure.code === 'LATCHKEY_OUTCOME_UNKNOWN'
