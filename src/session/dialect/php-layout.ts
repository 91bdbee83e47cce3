import { InvalidIdError } from '../../errors.js'
import type { KeyLayout, SessionKeys } from '../../lock/protocol/key-layout.js'
import { ANY_STORE, type StoreTraits } from '../../wire/wire.js'

/** The ids that PHP makes and takes (ext/session/session.c). None of them can name a lock, which has a `.` in its key. */
const ID = /^[A-Za-z0-9,-]+$/
/** Follows an id in keys of latchkey's own: PHP takes no id with it. */
const OWN = '<'
const LISTS = `${OWN}lists`

/** How one of PHP's extensions names a lock's key: what it puts around the id. */
interface LockName {
  readonly before: string
  readonly after: string
}

/** The keys of PHP's sessions: `<prefix><id>`, a lock beside each, and latchkey's line under a name that PHP cannot reach. */
export class PhpLayout implements KeyLayout {
  constructor(
    readonly prefix: string,
    private readonly lockName: LockName,
    private readonly store: StoreTraits = ANY_STORE,
  ) {}

  keysOf(id: string): SessionKeys {
    const flaw = this.flawOf(id)
    if (flaw !== undefined) throw new InvalidIdError(`The session id is refused: ${flaw}.`)
    const { before, after } = this.lockName
    const record = this.prefix + id
    return { record, lock: this.prefix + before + id + after, line: `${record}${OWN}line` }
  }

  idOfRecord(key: string): string | undefined {
    return this.idWithin(key, this.prefix, '')
  }

  idOfLock(key: string): string | undefined {
    return this.idWithin(key, this.prefix + this.lockName.before, this.lockName.after)
  }

  private idWithin(key: string, start: string, end: string): string | undefined {
    if (!key.startsWith(start) || !key.endsWith(end)) return undefined
    const id = key.slice(start.length, key.length - end.length)
    return this.flawOf(id) === undefined ? id : undefined
  }

  flawOf(id: unknown): string | undefined {
    if (typeof id !== 'string') return 'it is not a string'
    if (id === '') return 'it is empty'
    const { before, after } = this.lockName
    const keyBytes = this.prefix.length + before.length + id.length + after.length
    if (keyBytes > this.store.maxKeyBytes) {
      return `its lock key would have ${String(keyBytes)} bytes, and ${this.store.name} takes ${String(this.store.maxKeyBytes)}`
    }
    return ID.test(id) ? undefined : 'PHP takes letters, digits, "," and "-" only'
  }
}

/** Where processes leave their list of servers. */
export const phpListsKey = (prefix: string): string => prefix + LISTS

/** The id in a key without its prefix, if the key is latchkey's own: its line, say. */
export function idOfOwnKey(rest: string): string | undefined {
  const at = rest.indexOf(OWN)
  return at < 0 ? undefined : rest.slice(0, at)
}
