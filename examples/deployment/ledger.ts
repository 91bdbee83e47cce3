import type { Census, Store } from './store.js'

/** What a browser was told of one change. */
type Outcome = 'kept' | 'refused' | 'unknown'

interface Change {
  readonly outcome: Outcome
  readonly session: string
  readonly atMs: number
}

/** What became of the changes of a scene, as the store has it in the end. */
export interface Account {
  /** Changes that were acknowledged, and whose session no restart of a memcached has taken away. */
  readonly expected: number
  /** Of those, how many are in their session. */
  readonly kept: number
  readonly lost: number
  /** Acknowledged on a memcached that was restarted later: its sessions are gone, and those visitors began anew. */
  readonly loggedOut: number
  readonly loggedOutSessions: number
  /** Not acknowledged: they may have been stored, and were, or not. */
  readonly unknown: number
  /** Stored twice, or although the visitor was told that nothing was stored. */
  readonly wrong: number
}

/** A memcached that was restarted: whose sessions it had, and since when it is empty. */
export interface Restart {
  readonly census: Census
  readonly server: number
  readonly emptySinceMs: number
}

/** Every change that the browsers of a scene have made, by its number, and what they were told. */
export class Ledger {
  private readonly changes = new Map<number, Change>()
  private next = 0
  private restart: Restart | undefined

  number(): number {
    return ++this.next
  }

  /** The last word counts: who was refused may have tried again. */
  note(number: number, outcome: Outcome, session: string | undefined): void {
    if (session !== undefined) this.changes.set(number, { outcome, session, atMs: performance.now() })
  }

  noteRestart(restart: Restart): void {
    this.restart = restart
  }

  get sessions(): readonly string[] {
    return [...new Set([...this.changes.values()].map(({ session }) => session))]
  }

  /** Looks into every session, in the store itself. */
  async check(store: Store): Promise<Account> {
    const stored = await store.changesOf(this.sessions)
    const places = new Map<number, string[]>()
    for (const [session, numbers] of stored) {
      for (const number of numbers) places.set(number, [...(places.get(number) ?? []), session])
    }
    const account = { expected: 0, kept: 0, lost: 0, loggedOut: 0, unknown: 0, wrong: 0 }
    const loggedOut = new Set<string>()
    for (const [number, change] of this.changes) {
      const where = places.get(number) ?? []
      if (where.length > 1 || (change.outcome === 'refused' && where.length > 0)) account.wrong++
      if (change.outcome === 'unknown') account.unknown++
      if (change.outcome !== 'kept') continue
      if (!stored.has(change.session) && this.wasForgotten(change)) {
        account.loggedOut++
        loggedOut.add(change.session)
        continue
      }
      account.expected++
      if (where.includes(change.session)) account.kept++
      else account.lost++
    }
    return { ...account, loggedOutSessions: loggedOut.size }
  }

  private wasForgotten({ session, atMs }: Change): boolean {
    const { restart } = this
    return restart !== undefined && restart.census.get(session) === restart.server && atMs < restart.emptySinceMs
  }
}
