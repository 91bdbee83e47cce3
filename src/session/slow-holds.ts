import { hashOf } from '../system/session-hash.js'

/** A session that was locked for longer than `slowHoldMs`, and still is. */
export interface SlowHoldEvent {
  /** Short keyed hash of the session id. */
  readonly session: string
  /** What the holder calls itself (a route, say); undefined where nobody gave a label. */
  readonly label: string | undefined
  readonly heldMs: number
}

/** How many labels are remembered. An application that puts something of each request into its labels would fill the memory otherwise. */
const MOST_LABELS = 1000

/** Says of each label once that it holds sessions for too long: a slow route would fill a log otherwise. */
export class SlowHolds {
  private readonly reported = new Set<string | undefined>()

  constructor(private readonly report: (event: SlowHoldEvent) => void) {}

  note(id: string, label: string | undefined, heldMs: number): void {
    if (this.reported.has(label)) return
    if (this.reported.size >= MOST_LABELS) {
      for (const oldest of this.reported) {
        this.reported.delete(oldest)
        break
      }
    }
    this.reported.add(label)
    this.report({ session: hashOf(id), label, heldMs })
  }
}
