import { SAME_TURN_MS } from './turn.js'

const SLOTS = 256

/**
 * Remembers the turns that ended a moment ago, so that a session that is taken again at once stays in the same turn.
 *
 * The table has a fixed size and is written at every release, so one turn may overwrite another. The only cost is that
 * a process in line then waits a moment longer.
 */
export class RecentTurns {
  private readonly ids: string[] = new Array<string>(SLOTS).fill('')
  private readonly startedAtMs = new Float64Array(SLOTS)
  private readonly endedAtMs = new Float64Array(SLOTS).fill(-Infinity)

  remember(id: string, startedAtMs: number, nowMs: number): void {
    const slot = slotOf(id)
    this.ids[slot] = id
    this.startedAtMs[slot] = startedAtMs
    this.endedAtMs[slot] = nowMs
  }

  /** When the turn of `id` that has just ended began; undefined when there is none. */
  startOf(id: string, nowMs: number): number | undefined {
    const slot = slotOf(id)
    const ended = this.endedAtMs[slot] ?? -Infinity
    return nowMs - ended <= SAME_TURN_MS && this.ids[slot] === id ? this.startedAtMs[slot] : undefined
  }
}

/** Session ids are random, so their last two characters spread them well enough. */
function slotOf(id: string): number {
  const { length } = id
  return (id.charCodeAt(length - 1) * 31 + id.charCodeAt(Math.max(length - 2, 0)) * 7 + length) % SLOTS
}
