/** One cell of the matrix: plays a hook under a fault and judges everything that came of it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { LatchkeyError } from 'latchkey'
import { isDefinite, type Verdict } from './expectations.js'
import type { HookKind, Stage } from './hooks.js'
import { AnsweredError } from './express-hooks.js'
import type { LagMeter } from './lag-meter.js'
import { marksOf, type Marked, type Rig, textOf } from './rig.js'

/** A fault that has been set up. */
export interface Struck {
  /** Whether it has happened: a cell in which nothing broke proves nothing. */
  happened(): boolean
  /** Makes everything whole again. */
  heal(): Promise<void>
}

/** A column of the matrix: what breaks. */
export interface Trouble<R extends Rig> {
  readonly name: string
  /** For how many flights' deadlines after the call what was sent may still be carried out. */
  readonly zombieFlights: number
  /** The store loses its data: in flight, or before the call. */
  readonly empties: 'no' | 'in flight' | 'before'
  /** The verdicts that are right for a hook; more than one where it depends on who is quicker. */
  expected(hook: HookKind): readonly Verdict[]
  /** Breaks the next exchange (or the store). Resolves when that is set up. */
  strike(rig: R): Promise<Struck>
}

export interface CellResult {
  readonly verdict: Verdict
  readonly tookMs: number
  /** Data lost, made up, or of another session: never excusable. */
  readonly wrong: readonly string[]
  /** Late, or another verdict than expected: what a machine that stood still can bring about as well. */
  readonly odd: readonly string[]
}

/** The code of a typed error, or of the HTTP answer that carried it. */
const codeOf = (error: unknown): string | undefined =>
  error instanceof LatchkeyError || error instanceof AnsweredError ? error.code : undefined

const SLACK_MS = 120
/** Nothing takes this many deadlines, on whatever machine. */
const GIVE_UP_DEADLINES = 20

async function giveUpAfter(ms: number, signal: AbortSignal): Promise<never> {
  await sleep(ms, undefined, { signal }).catch(() => undefined)
  throw new Error(`WRONG: nothing after ${String(ms)} ms`)
}

/** The sweeper passes twice in a flight's deadline; a lock that it finds goes with the next pass. */
const SWEEP_FLIGHTS = 7

export async function playCell<R extends Rig>(rig: R, hook: HookKind, fault: Trouble<R>, lag: LagMeter): Promise<CellResult> {
  const play = new CellPlay(rig, hook, fault, lag)
  return play.run()
}

class CellPlay<R extends Rig> {
  private readonly wrong: string[] = []
  private readonly odd: string[] = []
  private struck: Struck | undefined
  private fromMs = performance.now()
  private bystanding: Promise<void> | undefined

  constructor(
    private readonly rig: R,
    private readonly hook: HookKind,
    private readonly fault: Trouble<R>,
    private readonly lag: LagMeter,
  ) {}

  async run(): Promise<CellResult> {
    const play = this.hook.play(this.stage())
    const verdict = await this.verdictOf(play.outcome)
    const endMs = performance.now()
    const tookMs = endMs - this.fromMs
    const limitMs = this.rig.deadlineMs + SLACK_MS * this.rig.patience + this.lag.between(this.fromMs, endMs)
    if (tookMs > limitMs) this.odd.push(`settled after ${tookMs.toFixed(0)} ms, not within ${limitMs.toFixed(0)}`)
    const right = this.fault.expected(this.hook)
    if (!right.includes(verdict)) this.odd.push(`${verdict}, not ${right.join(' or ')}`)
    if (this.struck?.happened() !== true) this.odd.push('the fault never struck')
    await this.bystanding
    await this.struck?.heal()
    await this.attempt('the next call', () => this.bystand())
    await this.attempt('what follows', () => play.after(verdict === 'ok'))
    // A next write would take over what the call has left, where it is for the sweeper to free it.
    if (this.hook.nature === 'acquires' || this.hook.nature === 'lets go') {
      await sleep(this.zombieMs)
      await this.judgeLock()
    }
    const marked = await this.nextWrite(verdict)
    await this.judgeRecord(verdict, marked)
    await this.judgeLock()
    return { verdict, tookMs, wrong: this.wrong, odd: this.odd }
  }

  private get zombieMs(): number {
    return this.fault.zombieFlights * this.rig.flightMs
  }

  private stage(): Stage {
    const { rig } = this
    return {
      rig,
      strike: async () => {
        this.struck = await this.fault.strike(rig)
        this.fromMs = performance.now()
        // In one batch with the call: broken as it is, it must not turn one's bytes into the other's.
        this.bystanding = this.bystand().catch((error: unknown) => this.note(error))
      },
      strikeWithin: async (ms) => {
        this.struck = await this.fault.strike(rig)
        const untilMs = performance.now() + ms
        await sleep(ms - 100)
        // Real servers, real time: a fault happens when it happens.
        while (!this.struck.happened() && performance.now() < untilMs + 1000) await sleep(2)
        await sleep(Math.max(0, untilMs - performance.now()))
        this.fromMs = performance.now()
      },
    }
  }

  private async bystand(): Promise<void> {
    const data = await this.rig.manager.peek<Marked>(this.rig.bystander)
    const marks = data === undefined ? undefined : marksOf(this.rig.bystander, JSON.stringify(data))
    if (marks === undefined ? this.fault.empties === 'no' : marks.join() !== 'other') {
      this.wrong.push(`the bystander was read as ${JSON.stringify(data)}`)
    }
  }

  private async verdictOf(outcome: Promise<unknown>): Promise<Verdict> {
    const tooLong = new AbortController()
    try {
      await Promise.race([outcome, giveUpAfter(GIVE_UP_DEADLINES * this.rig.deadlineMs, tooLong.signal)])
      return 'ok'
    } catch (error) {
      this.note(error)
      return codeOf(error)?.replace('LATCHKEY_', '') ?? String(error)
    } finally {
      tooLong.abort()
    }
  }

  /** A fault is an error of the typed kind; anything else is a finding of its own. */
  private note(error: unknown): void {
    if (codeOf(error) === undefined) this.wrong.push(String(error))
  }

  private async attempt(what: string, call: () => Promise<unknown>): Promise<boolean> {
    try {
      await call()
      return true
    } catch (error) {
      if (error instanceof Error && error.message.startsWith('WRONG')) this.wrong.push(error.message)
      else this.odd.push(`${what} failed: ${String(error)}`)
      return false
    }
  }

  /** A write after the fault, before anything that is still under way to the server gets there. */
  private async nextWrite(verdict: Verdict): Promise<boolean> {
    // A destroy of unknown outcome may still be carried out, and says so.
    if (verdict === 'OUTCOME_UNKNOWN' && this.hook.nature.startsWith('destroys')) await sleep(this.zombieMs)
    const { manager, id } = this.rig
    return this.attempt('the next write', async () => {
      const store = manager.store()
      const marks = marksOf(id, await store.read(id))
      await store.write(id, textOf(id, ...marks, 'next'))
      await store.close()
    })
  }

  private async judgeRecord(verdict: Verdict, nextIsStored: boolean): Promise<void> {
    await sleep(this.zombieMs)
    const marks = (await this.rig.stored()) ?? []
    const has = (mark: string): boolean => marks.includes(mark)
    const say = (text: string): void => void this.wrong.push(`${verdict}, but ${text}: [${marks.join(' ')}]`)
    if (new Set(marks).size !== marks.length) say('a write is in the record twice')
    if (nextIsStored && !has('next')) say('the next write, which was acknowledged, is lost')
    if (this.hook.writes) {
      if (verdict === 'ok' && !has('mine')) say('the write is not in the record')
      if (isDefinite(verdict) && has('mine')) say('the write is in the record')
    }
    if (this.fault.empties !== 'no') return
    const destroyed = this.hook.nature.startsWith('destroys')
    if (!destroyed && !has('base')) say('what was stored before is lost')
    if (destroyed && verdict === 'ok' && has('base')) say('the session has come back')
    if (destroyed && isDefinite(verdict) && !has('base')) say('the session is gone')
  }

  private async judgeLock(): Promise<void> {
    const fromMs = performance.now()
    const sweepMs = SWEEP_FLIGHTS * this.rig.flightMs
    while (await this.rig.isLocked()) {
      if (performance.now() > fromMs + sweepMs + this.lag.between(fromMs, performance.now())) {
        this.odd.push(`a lock is left ${String(sweepMs)} ms after the last call`)
        return
      }
      // The lock is freed by a real server's clock, or by a sweep.
      await sleep(25)
    }
  }
}
