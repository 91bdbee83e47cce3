/** The store of a directory: flights in, outcomes out, and the file opened anew when something became of it. */
import { FlightError, type Reply, UnsupportedStoreError } from '../wire.js'
import { Connection, type ConnectionOptions, UncertainCommit } from './connection.js'
import { DamagedStoreError, fileIn, LostLogError } from './database-file.js'
import type { Items } from './items.js'
import { isAlive } from './lifetime.js'
import { answers, answersOfFull, type Commands, lost, type Outcome } from './outcome.js'
import { troubleOf } from './sqlite.js'
import type { Instant, StoreClock } from './store-clock.js'
import { headOf, isWhole } from './table.js'

export interface FileStoreOptions extends ConnectionOptions {
  readonly clock: StoreClock
  /** Whether a store that is not there is made, and not an error. */
  readonly mayMake: boolean
}

export interface Clearance {
  /** Where the next step begins; undefined when this was the last. */
  readonly next: string | undefined
  /** Records; locks are none. */
  readonly records: number
}

export interface KeyPage {
  readonly keys: readonly string[]
  /** Where the next page begins; undefined when this was the last. */
  readonly next: string | undefined
}

/** So long others have to let a log go that was taken away; and two processes that open the store at once keep each other out for a moment. */
const LET_GO_MS = 1500

/** When the write lock is taken. */
type TakeLock = 'at once' | 'at the first change'

/** Everything here is done at once, on the thread of the event loop, and waits for nobody. */
export class FileStore {
  private readonly path: string
  private connection: Connection | undefined
  /** Transactions that wrote, and files that were opened: for statistics. */
  transactions = 0
  opened = 0
  /** Since when the log was another process's, and not to be found. */
  private lostSinceMs: number | undefined

  constructor(private readonly options: FileStoreOptions) {
    this.path = fileIn(options.directory)
  }

  /** Carries out flights, some of them for the first time if `areNew`. An outcome for each; throws nothing. */
  run(flights: readonly Commands[], areNew = true): Outcome[] {
    let connection: Connection
    try {
      connection = this.connected()
    } catch (error) {
      const outcome = this.failure(error)
      return flights.map(() => outcome)
    }
    const mustWrite = flights.some((commands) => commands.some(({ op }) => op !== 'get' && op !== 'add'))
    let outcomes = this.write(connection, flights, mustWrite ? 'at once' : 'at the first change')
    if (areNew && outcomes[0] === 'busy') {
      // What finds an answer without changing anything waits for nobody. One that was busy did not find it so.
      const read = this.read(connection, flights)
      const rest = flights.filter((_commands, at) => read[at] === undefined)
      const written = mustWrite || rest.length === 0 ? [] : this.write(connection, rest, 'at once')
      let next = 0
      outcomes = read.map((one) => one ?? written[next++] ?? 'busy')
    }
    const obstacle = this.obstacle(connection)
    return obstacle === undefined ? outcomes : lost(flights, outcomes, obstacle)
  }

  /** Keys that begin with `prefix`, from `from` on. @throws FlightError */
  keys(prefix: string, from: string, count: number): KeyPage {
    return this.guarded(({ items }) => {
      const page = items.page(from, count)
      const now = this.options.clock.now()
      const keys = page.filter((row) => row.key.startsWith(prefix) && (!isWhole(row) || isAlive(headOf(row), now))).map(({ key }) => key)
      const last = page.length < count ? undefined : page.at(-1)?.key
      return { keys, next: last?.startsWith(prefix) === true ? after(last) : undefined }
    })
  }

  /** Milliseconds that an item has left. @throws FlightError */
  ttlMs(key: string): number | undefined {
    return this.guarded(({ items }) => items.ttlMs(key, this.options.clock))
  }

  /** Looks at so many items, and removes those that have expired. @throws FlightError */
  clear(from: string, count: number): Clearance | 'busy' {
    return this.guarded((connection) => {
      const { items } = connection
      const page = items.page(from, count)
      const now = this.options.clock.now()
      // The dates of a damaged item may be wrong, and are no reason to end a session.
      const dead = page.filter((row) => isWhole(row) && !isAlive(headOf(row), now))
      const last = page.length < count ? undefined : page.at(-1)?.key
      const removed = dead.length === 0 ? [] : connection.writing(() => this.removed(items, dead))
      if (removed === 'busy') return 'busy'
      return { next: last === undefined ? undefined : after(last), records: removed.filter((row) => headOf(row).boot === 0).length }
    })
  }

  /** Whether it is this process's turn to clear: nobody has begun to for `everyMs`. @throws FlightError */
  claimClearance(everyMs: number): boolean {
    return this.guarded((connection) => connection.claimClearance(this.options.clock.now().wallMs, everyMs))
  }

  /** For operators: the answer to a statement without parameters. @throws FlightError */
  ask(sql: string): unknown[] {
    return this.guarded((connection) => connection.ask(sql))
  }

  /** How many records are not what was stored. @throws FlightError */
  damagedRecords(): number {
    return this.guarded((connection) => connection.reading(() => connection.items.damaged()))
  }

  get isOpen(): boolean {
    return this.connection?.isOpen === true
  }

  close(): void {
    const { connection } = this
    this.connection = undefined
    try {
      connection?.close()
    } catch {
      // Its log is copied into the file as it closes; if that fails, whoever opens it next does it.
    }
  }

  private connected(): Connection {
    if (this.connection?.hasItsLog() === false) this.connection = undefined
    if (this.connection === undefined) {
      this.connection = new Connection(this.options, this.options.mayMake && this.opened === 0)
      this.opened += 1
      this.lostSinceMs = undefined
    }
    return this.connection
  }

  private removed<Row extends { readonly key: string }>(items: Items, dead: readonly Row[]): Row[] {
    const now = this.options.clock.now()
    return dead.filter(({ key }) => items.remove(key, now))
  }

  /** Undefined of each flight that has to write. */
  private read(connection: Connection, flights: readonly Commands[]): (Outcome | undefined)[] {
    try {
      return connection.reading(() => flights.map((commands) => answers(connection.items, commands, this.options.clock)))
    } catch (error) {
      const cause = error instanceof UncertainCommit ? error.cause : error
      if (flights.length > 1 && troubleOf(cause) === 'damaged') return this.oneByOne(flights, cause)
      const outcome = this.failure(cause)
      return flights.map(() => outcome)
    }
  }

  /** One session that is damaged fails no other one; nothing was done so far. */
  private oneByOne(flights: readonly Commands[], damage: unknown): Outcome[] {
    this.failure(damage)
    return flights.flatMap((commands) => this.run([commands]))
  }

  private write(connection: Connection, flights: readonly Commands[], takeLock: TakeLock): Outcome[] {
    const { items, room } = connection
    try {
      const work = (): Reply[][] => {
        room.measure()
        let now: Instant | undefined
        // Once, and under the lock or after the first reading: later than all that was written before.
        const clock = { now: () => (now ??= this.options.clock.now()) }
        return flights.map((commands) => commands.map((command) => items.run(command, clock)))
      }
      const { writtenBytes } = items
      const outcomes = takeLock === 'at once' ? connection.writing(work) : connection.readingAndWriting(work)
      if (items.writtenBytes > writtenBytes) this.transactions += 1
      return outcomes === 'busy' ? flights.map(() => 'busy') : outcomes
    } catch (error) {
      const trouble = troubleOf(error)
      if (trouble === 'full') return this.withoutRoom(connection, flights, takeLock)
      if (flights.length > 1 && trouble === 'damaged') return this.oneByOne(flights, error)
      const outcome = error instanceof UncertainCommit ? this.failure(error.cause, 'unknown') : this.failure(error)
      return flights.map(() => outcome)
    }
  }

  /** The disk is full, and nothing of any of them was done. */
  private withoutRoom(connection: Connection, flights: readonly Commands[], takeLock: TakeLock): Outcome[] {
    const isShorter = connection.makeRoom()
    if (isShorter === 'busy') return flights.map(() => 'busy')
    if (isShorter) return this.write(connection, flights, takeLock)
    // One that is small, or only frees something, may still find room.
    if (flights.length > 1) return flights.flatMap((commands) => this.write(connection, [commands], 'at once'))
    const { directory, clock } = this.options
    return flights.map((commands) => answersOfFull(connection.items, commands, clock) ?? new FlightError('not-sent', `The disk of ${directory} is full`))
  }

  private guarded<T>(work: (connection: Connection) => T): T {
    let result: T
    let obstacle: string | undefined
    try {
      const connection = this.connected()
      result = work(connection)
      obstacle = this.obstacle(connection)
    } catch (error) {
      const failure = this.failure(error instanceof UncertainCommit ? error.cause : error)
      throw failure === 'busy' ? new FlightError('not-sent', `Another process is at ${this.path}; try again`, { cause: error }) : failure
    }
    if (obstacle !== undefined) throw new FlightError('not-sent', obstacle)
    return result
  }

  /** Why what was just done may be lost; undefined where all is well. */
  private obstacle({ files }: Connection): string | undefined {
    const { path } = this
    try {
      if (files.isThere) return undefined
      this.close()
      return `${path} was taken away or cut off while it was in use`
    } catch (error) {
      this.close()
      return `${path} cannot be looked at any more (${String(error)})`
    }
  }

  private failure(error: unknown, outcome: 'not-sent' | 'unknown' = 'not-sent'): FlightError | 'busy' {
    const trouble = troubleOf(error)
    if (trouble === 'busy' && outcome === 'not-sent') return 'busy'
    if (error instanceof LostLogError) {
      this.lostSinceMs ??= performance.now()
      if (performance.now() - this.lostSinceMs < LET_GO_MS) return 'busy'
    }
    // Looked at anew by the next flight: it may have been mended by then, and what SQLite keeps of it in memory is stale.
    this.close()
    const isOurs = error instanceof UnsupportedStoreError || error instanceof DamagedStoreError
    const text = error instanceof Error ? error.message : String(error)
    const { path } = this
    const advice = trouble === 'damaged' ? `is damaged (${text}). Look at it with latchkey doctor, and put a copy of it back` : `cannot be used (${text})`
    return new FlightError(outcome, isOurs ? text : `${path} ${advice}`, { cause: error })
  }
}

/** The key that follows in the order of bytes, which is that of ASCII. */
const after = (key: string): string => `${key}\0`
