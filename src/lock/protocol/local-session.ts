import type { SessionKeys } from './key-layout.js'

/** One session, as this process takes part in it: from its first request there until nobody here holds it or waits. */
export interface LocalSession {
  readonly id: string
  readonly keys: SessionKeys
  /** Stands in the tokens of all its locks, and tells them from those of everybody else. */
  readonly instance: string
  /** Now, or when the turn began that this process has just interrupted. */
  readonly turnStartedAtMs: number
}
