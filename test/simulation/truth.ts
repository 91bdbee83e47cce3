/** One attempt to store. Its operation id is the last in the list that it stores, and no other attempt has the same. */
export interface Attempt {
  readonly op: string
  readonly session: string
  readonly request: string
  /** The content that its author had read, or stored, before. */
  readonly base: string
  readonly text: string
  /** When the author read or stored `base`. */
  readonly baseAtMs: number
  readonly invokedAtMs: number
  outcome: 'pending' | 'acked' | 'refused' | 'unknown'
  stored: number
  removed: Removal | undefined
}

/** A call that destroys, with or without the lock. */
export interface Destroy {
  readonly actor: number
  readonly session: string
  /** The session's content, as the author knows it. If somebody has changed it since, the author must not end it. */
  readonly base: string
  readonly invokedAtMs: number
  settledAtMs: number
  outcome: 'pending' | 'acked' | 'refused' | 'unknown'
  /** Whether the session goes on under another id. An end that is not answered is then tried again after the call. */
  readonly isRetiring: boolean
  /** 'maybe': this destroy was carried out, or another that was under way at the same time. */
  executed: 'no' | 'maybe' | 'yes'
}

/** The time in which a request has a session, from its read on, and the lifetime that the request gives the session. */
export interface Stay {
  readonly actor: number
  readonly lifetimeSec: number
  readonly fromMs: number
  toMs: number
}

export interface Removal {
  readonly kind: 'destroy' | 'eviction' | 'restart' | 'expiry' | 'overwrite' | 'refusedSet'
  readonly atMs: number
  readonly destroys: readonly Destroy[]
  /** Whether the record's lifetime was over, by what the requests have asked for that had a right to. */
  readonly isDue: boolean
}

export interface ServerLock {
  readonly token: string
  /** The process that has taken the lock, or that it was granted to. */
  readonly actor: number | undefined
  readonly instance: string | undefined
  readonly label: string | undefined
  readonly sinceMs: number
  /** The lock came so long after its sending that nobody looks for it any more: only its lease ends it. */
  readonly isLate: boolean
  expiresAtSec: number
}

/** The record between two changes, as the ids of its operations; '' where there is no record, or a tombstone. */
interface State {
  readonly text: string
  readonly fromMs: number
  toMs: number
}

/** Everything that really stood on the server for one session, from the beginning to the end of a run. */
export class SessionTruth {
  readonly states: State[] = [{ text: '', fromMs: 0, toMs: Infinity }]
  /** The stamp of the latest write. */
  stamp: number | undefined
  recordExpiresAtSec = Infinity
  /** When the record should expire: as `recordExpiresAtSec`, but set only by writers and holders. */
  recordDueAtSec = Infinity
  lock: ServerLock | undefined
  /** By process: the instance id that it has last polled under. */
  readonly instances = new Map<number, string | undefined>()
  /** By instance id: the process that has polled under it. */
  readonly authors = new Map<string, number>()
  /** Since when nobody has had the lock. */
  freeSinceMs = 0
  /** By label: when the request's lock first stood on the server, as the time of the flight's first command. */
  readonly lockedAtMs = new Map<string, number>()
  /**
   * By label: the token of the lock that the request was given, the latest that came while the request asked for it.
   */
  readonly tokens = new Map<string, string>()
  /** The requests whose lock was evicted, or was lost in a restart. */
  readonly robbed = new Set<string>()
  /** When tombstones were put there that have not been evicted since. */
  readonly tombstonesAtMs: number[] = []
  readonly destroys: Destroy[] = []
  readonly stays: Stay[] = []
  changedAtMs = 0
  /** When the record last went and left nothing behind: by eviction, expiry, a restart, or a refused set. */
  removedAtMs = -1

  /** Whether a regenerate made the session: its first content is then a copy of the old session. */
  readonly isRotated: boolean

  constructor(readonly id: string) {
    this.isRotated = !/^s\d+$/.test(id)
  }

  wasWritten = false

  get text(): string {
    return this.states.at(-1)?.text ?? ''
  }

  /** Whether the record was `text` at some time from `fromMs` on. */
  was(text: string, fromMs: number): boolean {
    for (let i = this.states.length - 1; i >= 0; i--) {
      const state = this.states[i]
      if (state === undefined || state.toMs < fromMs) return false
      if (state.text === text) return true
    }
    return false
  }

  /** Whether the record changed, or was destroyed although there was none, from `fromMs` on. */
  changedSince(fromMs: number): boolean {
    return this.changedAtMs >= fromMs
  }
}

const OPS = /o\d+/g

/** The operations in a record or in what a read returned, in order, as one string. */
export const opsOf = (text: string): string => (text === '' || text === '{}' ? '' : (text.match(OPS)?.join(' ') ?? '?'))
