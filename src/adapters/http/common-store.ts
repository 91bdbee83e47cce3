import { EventEmitter } from 'node:events'
import { LatchkeyError } from '../../errors.js'
import type { BareSessions } from './bare-sessions.js'
import type { CookieSession } from './session-record.js'
import { type Callback, settle } from './settle.js'

/** A session of a list, which otherwise could not be told from the others. */
type Listed<S> = S & { readonly id: string }

/**
 * Sessions outside of any request (socket.io, scripts). Callbacks and promises alike. An id that is a number is its
 * decimal text, and one that no key can be made of has no session: to `set` it is LATCHKEY_INVALID_ID.
 *
 * `get` takes no lock and never waits. `set` locks the session, writes over what is there, and lets go: it is for
 * whoever knows the whole session. An object that `get` has given is stored only if the session is still what it was
 * then, its cookie aside. To change a part of it, use `manager.run(id, ...)`.
 *
 * Emits `failure` (SessionHttpError) for what no error handler could answer: a stream whose session was not stored, a
 * `set`, `touch` or `destroy` without a callback; and for each record that `all` cannot read.
 */
export class CommonStore<S extends CookieSession, Loaded extends S = S> extends EventEmitter {
  constructor(protected readonly sessions: BareSessions<S, Loaded>) {
    super()
  }

  /** One flight, without a lock. */
  get(sid: string | number, callback?: Callback<Loaded | null>): Promise<Loaded | null> {
    return settle(this.sessions.peek(String(sid)), callback)
  }

  /** Locks, writes, lets go: two flights. LATCHKEY_FENCED or LATCHKEY_SESSION_GONE for an object that `get` gave before that. */
  set(sid: string | number, data: S, callback?: Callback<void>): Promise<void> {
    return this.settled(this.sessions.overwrite(String(sid), data), callback)
  }

  /** Prolongs the session, takes over its cookie, and leaves its data alone. Two flights. */
  touch(sid: string | number, data: S, callback?: Callback<void>): Promise<void> {
    return this.settled(this.sessions.prolong(String(sid), data), callback)
  }

  /** One flight. Whoever holds the session is fenced. */
  destroy(sid: string | number, callback?: Callback<void>): Promise<void> {
    return this.settled(this.sessions.destroy(String(sid)), callback)
  }

  /**
   * Every session under the manager's prefix, each with its `id`. Cost and errors as of `manager.all()`: for scripts,
   * not for requests. A record that cannot be read is left out, and its error told by the event `failure`.
   */
  all(callback?: Callback<Listed<Loaded>[]>): Promise<Listed<Loaded>[]> {
    return settle(this.list(), callback)
  }

  /** Their ids, readable or not. Cost and errors as of `manager.ids()`. */
  ids(callback?: Callback<string[]>): Promise<string[]> {
    return settle(listOf(this.sessions.manager.ids()), callback)
  }

  /** How many there are. Cost and errors as of `manager.length()`. */
  length(callback?: Callback<number>): Promise<number> {
    return settle(this.sessions.manager.length(), callback)
  }

  /** Destroys them all; nothing else on the server is touched. Cost and errors as of `manager.clear()`. */
  clear(callback?: Callback<void>): Promise<void> {
    return settle(this.sessions.manager.clear().then(() => undefined), callback)
  }

  private async list(): Promise<Listed<Loaded>[]> {
    const { manager, record, onFailure } = this.sessions
    const found: Listed<Loaded>[] = []
    for await (const { id, data, error } of manager.all()) {
      try {
        if (error !== undefined) throw error
        const session = record.loaded(data)
        if (session !== undefined) found.push({ ...session, id })
      } catch (thrown) {
        // A record that cannot be read must not hide the others.
        if (!(thrown instanceof LatchkeyError)) throw thrown
        onFailure(thrown)
      }
    }
    return found
  }

  /** A failure that no callback is told of goes to the event; a promise that is dropped would end the process. */
  private settled(work: Promise<void>, callback: Callback<void> | undefined): Promise<void> {
    const settled = settle(work, callback)
    if (callback === undefined) settled.catch((error: unknown) => void this.emit('failure', error))
    return settled
  }
}

async function listOf<T>(all: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const one of all) list.push(one)
  return list
}
