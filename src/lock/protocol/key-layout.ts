import { InvalidIdError, InvalidOptionError } from '../../errors.js'
import { ANY_STORE, type KeyMarks, type StoreTraits } from '../../wire/wire.js'

/** The suffixes that the protocol appends to a record's key. An id that ends in one of them could name a lock. */
const LOCK_SUFFIX = '-lck'
const LINE_SUFFIX = '-line'
const RESERVED_SUFFIXES = [LOCK_SUFFIX, LINE_SUFFIX]
/** The first character of each of them. */
const DASH = '-'.charCodeAt(0)
const LONGEST_SUFFIX = Math.max(...RESERVED_SUFFIXES.map((suffix) => suffix.length))
/** What the keys of named locks have behind the prefix. No session's id begins like it; PHP's ids have no such character. */
const MUTEX_MARK = '<mutex>'
const LESS = MUTEX_MARK.charCodeAt(0)

const NO_MARKS = { open: '', close: '', stop: '', refusedInPrefix: undefined }

const VISIBLE_ASCII = /^[\x21-\x7e]+$/

/** The keys of one session; all of them live on the node that owns its id. */
export interface SessionKeys {
  readonly record: string
  readonly lock: string
  /** Holds the list of processes that wait for the lock, in the order of their arrival. */
  readonly line: string
}

/** The key where processes say which servers they use. No session's line has this key, because no id is empty. */
export const listsKeyOf = (prefix: string): string => prefix + LINE_SUFFIX

/** The key under which each node of several is marked as whole, or emptied. No session's lock has this key. */
export const markKeyOf = (prefix: string): string => prefix + LOCK_SUFFIX

/** Whether a key is that of a line, which is mere advice. */
export const isAdvice = (key: string): boolean => key.endsWith(LINE_SUFFIX)

/** Whether a key belongs only to running processes: a lock or a line. No session id ends like such a key. */
export const isOfProcesses = (key: string): boolean => key.endsWith(LOCK_SUFFIX) || key.endsWith(LINE_SUFFIX)

/** Says under which keys a session's record and lock are kept. Another product's layout can be used in its place. */
export interface KeyLayout {
  /** The text that the keys of all sessions begin with, and other keys do not. */
  readonly prefix: string

  /** @throws InvalidIdError LATCHKEY_INVALID_ID, before anything is sent. */
  keysOf(id: string): SessionKeys

  /** The id whose record this key names; undefined for every other key. */
  idOfRecord(key: string): string | undefined

  /** The id whose lock this key names; undefined for every other key. */
  idOfLock(key: string): string | undefined

  /** Why `id` is refused; undefined when it is good. Takes any value, because an id often comes from a cookie. */
  flawOf(id: unknown): string | undefined
}

/** Only who waits for a session asks for its line. */
class SuffixKeys implements SessionKeys {
  constructor(
    readonly record: string,
    readonly lock: string,
    private readonly start: string,
    private readonly lineBehind: string,
  ) {}

  get line(): string {
    return this.start + this.lineBehind
  }
}

/**
 * The record is kept under `<prefix><id>`, and the lock and the line under the same key with a suffix. Through a proxy, and on a
 * Redis Cluster, the keys have marks: `<prefix>{<id>}-lck`, or `<prefix><id>|#|-lck`.
 */
export class SuffixLayout implements KeyLayout {
  /** What stands before and behind an id in the key of its record, and behind it in the keys of its lock and its line. */
  private readonly before: string
  private readonly behind: string
  private readonly lockBehind: string
  private readonly lineBehind: string
  private readonly aroundId: number
  private readonly marks: KeyMarks | undefined

  /**
   * @param prefix goes before every id; visible ASCII, may be empty. Checked by the options.
   * @param store says how long a key may be, how a proxy finds its server, and how the store is called in messages.
   * @throws InvalidOptionError LATCHKEY_INVALID_OPTION: the proxy would take a part of the prefix for its mark.
   */
  constructor(
    readonly prefix: string,
    private readonly store: StoreTraits = ANY_STORE,
  ) {
    const { open, close, stop, refusedInPrefix } = store.keyMarks ?? NO_MARKS
    if (refusedInPrefix?.test(prefix) === true) {
      throw new InvalidOptionError('prefix: it has what the proxy looks for in a key, or the cluster, so that sessions would lose their locks.')
    }
    this.marks = store.keyMarks
    this.before = prefix + open
    this.behind = close
    this.lockBehind = close + stop + LOCK_SUFFIX
    this.lineBehind = close + stop + LINE_SUFFIX
    this.aroundId = this.before.length + close.length + stop.length + LONGEST_SUFFIX
  }

  keysOf(id: string): SessionKeys {
    const flaw = this.flawOf(id)
    if (flaw !== undefined) throw new InvalidIdError(`The session id is refused: ${flaw}.`)
    const start = this.before + id
    return new SuffixKeys(start + this.behind, start + this.lockBehind, start, this.lineBehind)
  }

  idOfRecord(key: string): string | undefined {
    return this.idWithin(key, this.behind)
  }

  idOfLock(key: string): string | undefined {
    return this.idWithin(key, this.lockBehind)
  }

  private idWithin(key: string, end: string): string | undefined {
    if (!key.startsWith(this.before) || !key.endsWith(end)) return undefined
    const id = key.slice(this.before.length, key.length - end.length)
    return this.flawOf(id) === undefined ? id : undefined
  }

  flawOf(id: unknown): string | undefined {
    if (typeof id !== 'string') return 'it is not a string'
    if (id === '') return 'it is empty'
    if (this.aroundId + id.length > this.store.maxKeyBytes) {
      const keyBytes = String(this.aroundId + Buffer.byteLength(id))
      return `its lock key would have ${keyBytes} bytes, and ${this.store.name} takes ${String(this.store.maxKeyBytes)}`
    }
    if (!VISIBLE_ASCII.test(id)) return 'only visible ASCII without spaces is allowed'
    for (const suffix of RESERVED_SUFFIXES) {
      // The first character alone rules nearly every id out, and takes a tenth of the time.
      if (id.charCodeAt(id.length - suffix.length) === DASH && id.endsWith(suffix)) return `it ends in "${suffix}", which names a key of the lock protocol`
    }
    if (id.charCodeAt(0) === LESS && id.startsWith(MUTEX_MARK)) return `it begins with "${MUTEX_MARK}", which names a lock of its own`
    if (this.marks?.refusedInId.test(id) === true) return 'it has what the proxy looks for in a key, or the cluster, so that its lock would be on another server'
    return undefined
  }
}

/** The keys of named locks, beside those of the sessions under `prefix`: `<prefix><mutex>NAME` counts, and so on. */
export const mutexLayout = (prefix: string, store: StoreTraits | undefined): KeyLayout => new SuffixLayout(prefix + MUTEX_MARK, store)
