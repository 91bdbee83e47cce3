import { InvalidIdError } from '../../errors.js'
import { ANY_STORE, type StoreTraits } from '../../wire/wire.js'

/** The suffixes that the protocol appends to a record's key. An id that ends in one of them could name a lock. */
const LOCK_SUFFIX = '-lck'
const LINE_SUFFIX = '-line'
const RESERVED_SUFFIXES = [LOCK_SUFFIX, LINE_SUFFIX]
/** The first character of each of them. */
const DASH = '-'.charCodeAt(0)
const LONGEST_SUFFIX = Math.max(...RESERVED_SUFFIXES.map((suffix) => suffix.length))

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

/** The record is kept under `<prefix><id>`, and the lock and the line under the same key with a suffix. */
export class SuffixLayout implements KeyLayout {
  /**
   * @param prefix goes before every id; visible ASCII, may be empty. Checked by the options.
   * @param store says how long a key may be, and how the store is called in messages.
   */
  constructor(
    readonly prefix: string,
    private readonly store: StoreTraits = ANY_STORE,
  ) {}

  keysOf(id: string): SessionKeys {
    const flaw = this.flawOf(id)
    if (flaw !== undefined) throw new InvalidIdError(`The session id is refused: ${flaw}.`)
    const record = this.prefix + id
    return { record, lock: record + LOCK_SUFFIX, line: record + LINE_SUFFIX }
  }

  idOfRecord(key: string): string | undefined {
    if (!key.startsWith(this.prefix)) return undefined
    const id = key.slice(this.prefix.length)
    return this.flawOf(id) === undefined ? id : undefined
  }

  idOfLock(key: string): string | undefined {
    return key.endsWith(LOCK_SUFFIX) ? this.idOfRecord(key.slice(0, -LOCK_SUFFIX.length)) : undefined
  }

  flawOf(id: unknown): string | undefined {
    if (typeof id !== 'string') return 'it is not a string'
    if (id === '') return 'it is empty'
    if (this.prefix.length + id.length + LONGEST_SUFFIX > this.store.maxKeyBytes) {
      const keyBytes = String(Buffer.byteLength(this.prefix + id) + LONGEST_SUFFIX)
      return `its lock key would have ${keyBytes} bytes, and ${this.store.name} takes ${String(this.store.maxKeyBytes)}`
    }
    if (!VISIBLE_ASCII.test(id)) return 'only visible ASCII without spaces is allowed'
    for (const suffix of RESERVED_SUFFIXES) {
      // The first character alone rules nearly every id out, and takes a tenth of the time.
      if (id.charCodeAt(id.length - suffix.length) === DASH && id.endsWith(suffix)) return `it ends in "${suffix}", which names a key of the lock protocol`
    }
    return undefined
  }
}
