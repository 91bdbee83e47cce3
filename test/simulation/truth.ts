/** One attempt to store: its op id is the last in the list that it stores, and nobody else's. */
export interface Attempt {
  readonly op: string
  readonly session: string
  readonly request: string
  /** What its author had read, or stored, before. */
  readonly base: string
  readonly text: string
  /** When that was. */
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
  /** The session as its author knows it: what another has made of it since is not the author's to end, and stays. */
  readonly base: string
  readonly invokedAtMs: number
  settledAtMs: number
  outcome: 'pending' | 'acked' | 'refused' | 'unknown'
  /** Of a session that goes on under another id: an end that is not answered is tried again, when the call is over. */
  readonly isRetiring: boolean
  /** 'maybe': it, or another that was under way at the same time. */
  executed: 'no' | 'maybe' | 'yes'
}

/** A request's time with a session, from its read on, and how long it lets it live. */
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
  /** Its time had come, by what was asked for by those who had a right to. */
  readonly isDue: boolean
}

export interface ServerLock {
  readonly token: string
  /** The process that has put it there, or that it was granted to. */
  readonly actor: number | undefined
  readonly instance: string | undefined
  readonly label: string | undefined
  readonly sinceMs: number
  /** It came so long after its sending that nobody looks for it any more: only its lease ends it. */
  readonly isLate: boolean
  expiresAtSec: number
}

/** The record between two changes, as the ids of the operations in it; '' where there is none or a tombstone. */
interface State {
  readonly text: string
  readonly fromMs: number
  toMs: number
}

/** What really stood on the server for one session, from the beginning to the end. */
export class SessionTruth {
  readonly states: State[] = [{ text: '', fromMs: 0, toMs: Infinity }]
  /** Of its latest writing. */
  stamp: number | undefined
  recordExpiresAtSec = Infinity
  /** The same, had nobody but its writers and holders changed it. */
  recordDueAtSec = Infinity
  lock: ServerLock | undefined
  /** Process => the instance id that it has last polled under. */
  readonly instances = new Map<number, string | undefined>()
  /** Every instance id that somebody has polled under => whose it was. */
  readonly authors = new Map<string, number>()
  /** Since when nobody has had the lock. */
  freeSinceMs = 0
  /** When each request's lock first stood on the server; the time is that of its flight's first command. */
  readonly lockedAtMs = new Map<string, number>()
  /** The lock that each label's request was given, as far as it was: its latest that came while it was asked for. */
  readonly tokens = new Map<string, string>()
  /** Requests whose lock was evicted or went with a restart. */
  readonly robbed = new Set<string>()
  /** When a tombstone was put, as long as it was not evicted since. */
  readonly tombstonesAtMs: number[] = []
  readonly destroys: Destroy[] = []
  readonly stays: Stay[] = []
  changedAtMs = 0
  /** When it last went and left nothing behind: evicted, expired, with a restart, or with a set that was refused. */
  removedAtMs = -1

  /** Begun by a regenerate: what it is born with was copied from the old session. */
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
