import type { HoldSeen } from '../../observe/witness.js'

const MOST_SESSIONS = 1000

interface Write {
  readonly atMs: number
  readonly label: string | undefined
}

/**
 * Sees, where nothing is locked (`locking: false`), that a request stored a session over what another one had stored
 * after the request had read it: that one's change is gone.
 */
export class LastWrites {
  private readonly writes = new Map<string, Write>()

  judged(hold: HoldSeen): HoldSeen & { readonly over?: string | undefined } {
    const { id, sinceMs, overAtMs: atMs, label, wroteUnlocked } = hold
    if (wroteUnlocked !== true) return hold
    const last = this.writes.get(id)
    // Again at the end, so that the sessions that are used least go first.
    this.writes.delete(id)
    this.writes.set(id, { atMs, label })
    if (this.writes.size > MOST_SESSIONS) this.forgetOne()
    return last !== undefined && last.atMs > sinceMs ? { ...hold, outcome: 'overwrote', over: last.label ?? 'another request' } : hold
  }

  private forgetOne(): void {
    for (const oldest of this.writes.keys()) {
      this.writes.delete(oldest)
      return
    }
  }
}
