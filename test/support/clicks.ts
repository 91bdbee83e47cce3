/** Clients that click on sessions, each click a locked change, and what became of every one of them. */
import { setTimeout as delay } from 'node:timers/promises'
import { LatchkeyError, type SessionManager } from 'latchkey'
import { SeededRandom } from 'latchkey/testing'
import { until } from './until.js'

/** A session lists its clicks: at least those that were acknowledged, and besides at most what nobody knows. */
interface Clicked {
  readonly id: string
  /** With the click that had begun the session when it was made. */
  readonly acknowledged: Map<number, number>
  readonly unknown: Set<number>
  lastMs: number
}

type Clickable = Pick<SessionManager, 'run'>

export interface Judged {
  /** Acknowledged changes that are not there. */
  readonly lost: number
  /** Those among them whose session is gone as a whole, or has begun anew since. */
  readonly forgotten: number
  /** Changes that nobody made, or that are there twice. */
  readonly tooMany: number
}

/** Between two tries of a client whose click failed. */
const PAUSE_MS = 20

export class Clicks {
  readonly #random = new SeededRandom(20_26)
  readonly #sessions: readonly Clicked[]
  #isOver = false
  #clicks = 0
  /** Errors that are none of latchkey's. */
  readonly strangers: unknown[] = []
  /** How often each code was met. */
  readonly codes = new Map<string, number>()
  /** The longest time in which nothing was acknowledged of one session. */
  longestGapMs = 0

  /** @param thinkMs what a client waits between two clicks. */
  constructor(readonly ids: readonly string[], private readonly thinkMs = 0) {
    this.#sessions = ids.map((id) => ({ id, acknowledged: new Map(), unknown: new Set(), lastMs: 0 }))
  }

  get acknowledged(): number {
    return this.#acknowledgedOf(undefined)
  }

  /** @param id of one session; undefined: of all. */
  #acknowledgedOf(id: string | undefined): number {
    return this.#sessions.reduce((sum, session) => sum + (id === undefined || session.id === id ? session.acknowledged.size : 0), 0)
  }

  /** Resolves when so many more are acknowledged, of one session or of all. @throws when that takes too long. */
  acknowledgeMore(count: number, id?: string): Promise<void> {
    const enough = this.#acknowledgedOf(id) + count
    return until(`${String(enough)} clicks are acknowledged`, async () => this.#acknowledgedOf(id) >= enough)
  }

  /** Clicks until `meanwhile` is over: each client has a manager, and clicks on all sessions. */
  during(managers: readonly Clickable[], clientsEach: number, meanwhile: () => Promise<void>): Promise<void> {
    const clients = managers.flatMap((manager) => Array.from({ length: clientsEach }, () => [[manager], this.#sessions] as const))
    return this.#during(clients, meanwhile)
  }

  /** The same where each session is one client's, who goes to any of the managers. */
  duringVisits(managers: readonly Clickable[], meanwhile: () => Promise<void>): Promise<void> {
    return this.#during(this.#sessions.map((session) => [managers, [session]] as const), meanwhile)
  }

  async #during(clients: readonly (readonly [readonly Clickable[], readonly Clicked[]])[], meanwhile: () => Promise<void>): Promise<void> {
    this.#isOver = false
    for (const session of this.#sessions) session.lastMs = performance.now()
    const clicking = clients.map(([managers, sessions]) => this.#click(managers, sessions))
    try {
      await meanwhile()
    } finally {
      this.#isOver = true
    }
    await Promise.all(clicking)
  }

  /** What is stored now, beside what was acknowledged. */
  async judge(manager: SessionManager): Promise<Judged> {
    const judged = { lost: 0, forgotten: 0, tooMany: 0 }
    for (const { id, acknowledged, unknown } of this.#sessions) {
      const stored = clicksIn(await manager.peek(id))
      const there = new Set(stored)
      for (const [click, first] of acknowledged) {
        if (there.has(click)) continue
        judged.lost++
        if (first !== stored[0]) judged.forgotten++
      }
      judged.tooMany += stored.length - there.size
      for (const click of there) if (!acknowledged.has(click) && !unknown.has(click)) judged.tooMany++
    }
    return judged
  }

  async #click(managers: readonly Clickable[], sessions: readonly Clicked[]): Promise<void> {
    while (!this.#isOver) {
      const session = this.#random.pick(sessions)
      const click = ++this.#clicks
      let first = click
      try {
        await this.#random.pick(managers).run(session.id, ({ data }) => {
          const before = clicksIn(data)
          first = before[0] ?? click
          data['clicks'] = [...before, click]
        })
        session.acknowledged.set(click, first)
        const nowMs = performance.now()
        this.longestGapMs = Math.max(this.longestGapMs, nowMs - session.lastMs)
        session.lastMs = nowMs
        if (this.thinkMs > 0) await delay(this.thinkMs)
      } catch (error) {
        const code = error instanceof LatchkeyError ? error.code : undefined
        if (code === undefined) this.strangers.push(error)
        else this.codes.set(code, (this.codes.get(code) ?? 0) + 1)
        if (code === 'LATCHKEY_OUTCOME_UNKNOWN') session.unknown.add(click)
        await delay(PAUSE_MS)
      }
    }
  }
}

function clicksIn(data: Readonly<Record<string, unknown>> | undefined): number[] {
  const clicks = data?.['clicks']
  return Array.isArray(clicks) ? clicks.map(Number) : []
}
