/** Clients that click on sessions, each click a locked change, and what became of every one of them. */
import { setTimeout as delay } from 'node:timers/promises'
import { LatchkeyError, type SessionManager } from 'latchkey'
import { SeededRandom } from 'latchkey/testing'

/** A session counts what was acknowledged, and besides at most what nobody knows. */
interface Count {
  readonly id: string
  acknowledged: number
  unknown: number
  lastMs: number
}

/** Between two tries of a client whose click failed. */
const PAUSE_MS = 20

export class Clicks {
  readonly #random = new SeededRandom(20_26)
  readonly #counts: readonly Count[]
  #isOver = false
  /** Errors that are none of latchkey's. */
  readonly strangers: unknown[] = []
  /** How often each code was met. */
  readonly codes = new Map<string, number>()
  /** The longest time in which nothing was acknowledged of one session. */
  longestGapMs = 0

  constructor(ids: readonly string[]) {
    this.#counts = ids.map((id) => ({ id, acknowledged: 0, unknown: 0, lastMs: 0 }))
  }

  get acknowledged(): number {
    return this.#counts.reduce((sum, { acknowledged }) => sum + acknowledged, 0)
  }

  /** Clicks until `meanwhile` is over. */
  async during(managers: readonly SessionManager[], clientsEach: number, meanwhile: () => Promise<void>): Promise<void> {
    this.#isOver = false
    for (const count of this.#counts) count.lastMs = performance.now()
    const clients = managers.flatMap((manager) => Array.from({ length: clientsEach }, () => this.#click(manager)))
    try {
      await meanwhile()
    } finally {
      this.#isOver = true
    }
    await Promise.all(clients)
  }

  /** Acknowledged changes that are not there, and changes that nobody made. */
  async judge(manager: SessionManager): Promise<{ readonly lost: number; readonly tooMany: number }> {
    let [lost, tooMany] = [0, 0]
    for (const { id, acknowledged, unknown } of this.#counts) {
      const n = Number((await manager.peek(id))?.['n'] ?? 0)
      lost += Math.max(0, acknowledged - n)
      tooMany += Math.max(0, n - acknowledged - unknown)
    }
    return { lost, tooMany }
  }

  async #click(manager: SessionManager): Promise<void> {
    while (!this.#isOver) {
      const count = this.#random.pick(this.#counts)
      try {
        await manager.run(count.id, ({ data }) => {
          data['n'] = Number(data['n'] ?? 0) + 1
        })
        count.acknowledged++
        const nowMs = performance.now()
        this.longestGapMs = Math.max(this.longestGapMs, nowMs - count.lastMs)
        count.lastMs = nowMs
      } catch (error) {
        const code = error instanceof LatchkeyError ? error.code : undefined
        if (code === undefined) this.strangers.push(error)
        else this.codes.set(code, (this.codes.get(code) ?? 0) + 1)
        if (code === 'LATCHKEY_OUTCOME_UNKNOWN') count.unknown++
        await delay(PAUSE_MS)
      }
    }
  }
}
