import { InvalidIdError } from '../../errors.js'
import { ANY_STORE, type StoreTraits } from '../../wire/wire.js'

/** What the protocol appends to a record's key. An id that ends in one of them could name a lock. */
const LOCK_SUFFIX = '-lck'
const LINE_SUFFIX = '-line'
const RESERVED_SUFFIXES = [LOCK_SUFFIX, LINE_SUFFIX]
const LONGEST_SUFFIX = Math.max(...RESERVED_SUFFIXES.map((suffix) => suffix.length))

const VISIBLE_ASCII = /^[\x21-\x7e]+$/

/** The keys of one session; all of them live on the node that owns its id. */
export interface SessionKeys {
  readonly record: string
  readonly lock: string
  /** The processes that wait for the lock, first come first. */
  readonly line: string
}

/** Where processes say which servers they use. The line of no session: no id can lead here. */
export const listsKeyOf = (prefix: string): string => prefix + LINE_SUFFIX

/** Where a session's record and lock are kept. A value, so that another product's layout can stand in its place. */
export interface KeyLayout {
  /** What the keys of all sessions begin with, and those of others do not. */
  readonly prefix: string

  /** @throws InvalidIdError LATCHKEY_INVALID_ID, before anything is sent. */
  keysOf(id: string): SessionKeys

  /** The id whose record this key names; undefined for every other key. */
  idOfRecord(key: string): string | undefined

  /** The id whose lock this key names; undefined for every other key. */
  idOfLock(key: string): string | undefined

  /** Why no key can be made of `id`; undefined when one can. Takes anything: an id often comes from a cookie. */
  flawOf(id: unknown): string | undefined
}

/** `<prefix><id>`, and the same with a suffix for what stands beside the record. */
export class SuffixLayout implements KeyLayout {
  /**
   * @param prefix goes before every id; visible ASCII, may be empty. Checked by the options.
   * @param store what the wire says of its store: how long a key may be.
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
      if (id.endsWith(suffix)) return `it ends in "${suffix}", which names a key of the lock protocol`
    }
    return undefined
  }
}
