import { ClosedError, LatchkeyError, ServerUnavailableError, NotSupportedError } from '../errors.js'
import { FlightError, type Value } from '../wire/wire.js'
import { takeLifetime } from './own-lifetime.js'
import { decode } from './serializer.js'
import type { SessionEngine } from './session-engine.js'

/** A session as it is stored. The id is a secret: whoever has it is that visitor. */
export interface ListedSession<T extends object = Record<string, unknown>> {
  readonly id: string
  readonly data: Partial<T>
  readonly error?: undefined
}

/** A record that is stored and cannot be read. It is left as it is: one of them must not hide all others. */
export interface UnreadableSession {
  readonly id: string
  readonly data?: undefined
  /** LATCHKEY_UNDECODABLE, LATCHKEY_UNKNOWN_KEY or another one of reading a record. */
  readonly error: LatchkeyError
}

/** Records that are asked for at once: they share a write to the server, and none waits long behind the others. */
const AT_ONCE = 64

interface Found {
  readonly id: string
  readonly record: Value
}

/**
 * The sessions under a manager's prefix, found by listing the servers' keys. For operators and scripts, never for a
 * request: a list walks through everything that the servers keep, and takes one flight for each session more.
 *
 * Tombstones, locks and lines are no sessions. A session that begins or ends meanwhile may be in the list or not.
 */
export class SessionList {
  constructor(private readonly engine: SessionEngine) {}

  async *all<T extends object>(): AsyncGenerator<ListedSession<T> | UnreadableSession> {
    for await (const found of this.found()) {
      const listed = this.read<T>(found)
      if (listed !== undefined) yield listed
    }
  }

  async *ids(): AsyncGenerator<string> {
    for await (const found of this.found()) if (!this.isRetired(found)) yield found.id
  }

  async length(): Promise<number> {
    const ids = this.ids()
    let count = 0
    while ((await ids.next()).done !== true) count += 1
    return count
  }

  async clear(): Promise<number> {
    const { locker } = this.engine
    let count = 0
    for await (const found of inBatches(this.found())) {
      await Promise.all(found.map(({ id }) => locker.destroy(id)))
      // Retired copies go as well; they are no sessions of their own.
      count += found.filter((one) => !this.isRetired(one)).length
    }
    return count
  }

  /** Every record of some bytes, each once. */
  private async *found(): AsyncGenerator<Found> {
    const { locker, dialect } = this.engine
    for await (const ids of inBatches(this.candidates())) {
      const records = await Promise.all(ids.map((id) => locker.peek(id)))
      for (const [index, id] of ids.entries()) {
        const record = records[index]
        if (record !== undefined && (record.length > 0 || !dialect.hasTombstones)) yield { id, record }
      }
    }
  }

  /** Undefined for a key that belongs to no session: a lock's, or a line's. */
  private async *candidates(): AsyncGenerator<string> {
    const { isClosed, wire, layout, dialect } = this.engine
    if (isClosed) throw new ClosedError('The manager is closed; make a new SessionManager.')
    if (wire.keys === undefined) {
      throw new NotSupportedError('Sessions cannot be listed here: a proxy lists no keys, nor does a wire without keys(prefix).')
    }
    if (layout.prefix === '' && dialect.php !== undefined) {
      throw new NotSupportedError("PHP's extension memcache puts nothing before a session's id: nobody can tell which keys are sessions.")
    }
    const seen = new Set<string>()
    try {
      for await (const key of wire.keys(layout.prefix)) {
        const id = layout.idOfRecord(key)
        if (id === undefined || seen.has(id)) continue
        seen.add(id)
        yield id
      }
    } catch (cause) {
      if (!(cause instanceof FlightError)) throw cause
      const message = `The keys could not be listed (${cause.message}). Check that every server can be reached.`
      throw new ServerUnavailableError(message, { cause })
    }
  }

  /** Undefined where the record is a retired copy. */
  private read<T extends object>({ id, record }: Found): ListedSession<T> | UnreadableSession | undefined {
    const { format, dialect } = this.engine
    try {
      const { text, isRetired } = format.unpack(id, record)
      if (isRetired) return undefined
      const data: Partial<T> = decode(dialect.serializer, id, text)
      takeLifetime(data)
      return { id, data }
    } catch (error) {
      if (!(error instanceof LatchkeyError)) throw error
      return { id, error }
    }
  }

  /** A record that cannot be read is counted, because it may be a visitor's session. */
  private isRetired({ id, record }: Found): boolean {
    try {
      return this.engine.format.unpack(id, record).isRetired
    } catch {
      return false
    }
  }
}

async function *inBatches<T>(items: AsyncIterable<T>): AsyncGenerator<T[]> {
  let batch: T[] = []
  for await (const item of items) {
    batch.push(item)
    if (batch.length < AT_ONCE) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}
