/** What the processes of the soak tell each other. Moments are on the monotonic clock that they all share. */
export interface WorkerSetup {
  readonly name: string
  readonly savePath: string
  readonly seed: number
  readonly sessions: number
  /** False to see that the soak notices. */
  readonly locking: boolean
  readonly epoch: number
}

/**
 * What may happen to a session: 'shorten' gives it a few seconds to live, 'renew' lets it go on under another id.
 */
export type What = 'append' | 'destroy' | 'shorten' | 'renew'

export type Verdict = 'acknowledged' | 'refused' | 'unknown'

export type FromWorker =
  | { readonly kind: 'ready' }
  /** About to send it. */
  | {
    readonly kind: 'begin'
    readonly op: string
    readonly what: What
    readonly session: string
    readonly atMs: number
  }
  | { readonly kind: 'end'; readonly op: string; readonly verdict: Verdict; readonly atMs: number }
  /** A renewal was acknowledged: what was in the session is in the new one now. */
  | { readonly kind: 'renewed'; readonly from: string; readonly to: string; readonly ops: readonly string[]; readonly atMs: number }
  /** The session was not to be had; nothing was begun. */
  | { readonly kind: 'unserved'; readonly code: string }
  /** What must never happen, whatever the faults. */
  | { readonly kind: 'bug'; readonly text: string }

export type ToWorker = { readonly epoch: number } | 'stop'

/** CLOCK_MONOTONIC: one for all processes of a machine. */
export const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6

/** Sessions of an epoch are written in it, and judged after it: a soak of any length remembers a few at a time. */
export const sessionOf = (epoch: number, index: number): string => `soak-${String(epoch)}-${String(index)}`

export interface Record {
  /** The session, or the one that it goes on for. */
  readonly of: string
  readonly ops: readonly string[]
}
