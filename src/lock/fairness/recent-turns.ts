import { SAME_TURN_MS } from './turn.js'

const SLOTS = 256

/**
 * The turns that ended a moment ago, so that a session taken again at once counts as the same turn.
 *
 * A small table of fixed size, written at every release: one turn may push out another, which costs the other process
 * in line a moment, and nothing else.
 */
export class RecentTurns {
  private readonly ids: string[] = new Array<string>(SLOTS).fill('')
  private readonly startedAtMs = new Float64Array(SLOTS)
  private readonly endedAtMs = new Float64Array(SLOTS)

  remember(id: string, startedAtMs: number, nowMs: number): void {
    const slot = slotOf(id)
    this.ids[slot] = id
    this.startedAtMs[slot] = startedAtMs
    this.endedAtMs[slot] = nowMs
  }

  /** When the turn began that ended just now; undefined when there is none. */
  startOf(id: string, nowMs: number): number | undefined {
    const slot = slotOf(id)
    const ended = this.endedAtMs[slot] ?? -Infinity
    return this.ids[slot] === id && nowMs - ended <= SAME_TURN_MS ? this.startedAtMs[slot] : undefined
  }
}

/** The end of an id is random enough. */
function slotOf(id: string): number {
  const { length } = id
  return (id.charCodeAt(length - 1) * 31 + id.charCodeAt(Math.max(length - 2, 0)) * 7 + length) % SLOTS
}
