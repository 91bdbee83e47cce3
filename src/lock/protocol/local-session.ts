import type { SessionKeys } from './key-layout.js'

/** One session in this process: from the first request for it until nobody here holds it or waits for it. */
export interface LocalSession {
  readonly id: string
  readonly keys: SessionKeys
  /** The instance id. The tokens of all its locks carry it, which tells them from everybody else's. */
  readonly instance: string
  /** When the turn began: now, or earlier if this process let go of the session only a moment ago. */
  readonly turnStartedAtMs: number
}
