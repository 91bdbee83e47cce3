/** The file wire: sessions in a directory that the processes of one machine share. */
import { resolve } from 'node:path'
import type { ObservedNode } from '../../observe/channels.js'
import type { Clock } from '../../system/clock.js'
import { nonceOf, systemRandom } from '../../system/random.js'
import { defaultDirectory } from '../../neighbours/door-directory.js'
import { MOST_KEY_BYTES } from '../key.js'
import { problemOfKey, problemOfTtl } from '../problems.js'
import { type Command, failLater, FlightError, type NodeStats, promised, type Receiver, type Reply, type StoreTraits, type Wire, type WireWarning } from '../wire.js'
import { Clearances } from './clearance.js'
import { isDoubtful } from './directory.js'
import { FileStore } from './file-store.js'
import { FlightQueue } from './flight-queue.js'
import { largestValueBytes } from './room.js'
import type { FileStoreSettings } from './save-path.js'
import { loadSqlite, type Sqlite } from './sqlite.js'
import { storeClock } from './store-clock.js'

export interface FileWireOptions {
  readonly settings: FileStoreSettings
  readonly clock: Clock
  /** How long a flight may wait for other processes, in milliseconds. */
  readonly flightMs: number
  /** Whether a key tells of running processes alone. Default: none does. */
  readonly isOfProcesses?: ((key: string) => boolean) | undefined
  /** Whether a store that is not there is an error, and is not made. Default false. */
  readonly mustExist?: boolean | undefined
  readonly onWarning?: ((warning: WireWarning) => void) | undefined
}

/** A wire to a store on a disk of this machine. */
export interface FileWire extends Wire {
  send(route: string, commands: readonly Command[], receiver: Receiver): void
  keys(prefix: string): AsyncIterable<string>
  sweep(): Promise<number>
  /** Absolute. Only the user of these processes can write there. */
  readonly directory: string
}

export const FILE_STORE: StoreTraits = {
  name: 'file store',
  maxKeyBytes: MOST_KEY_BYTES,
  remedy: {
    tooLarge: 'keep in the session only what names it: a store on disk takes 1 MiB a session',
    outOfMemory: 'look at the free space of the disk, and at maxMiB in the save path',
    unavailable: 'Ask latchkey doctor what is wrong with the directory; no session was made in its place.',
  },
}

const KEYS_AT_ONCE = 500

/** Makes a wire. SQLite is loaded, and the file opened or made, when the first flight leaves. */
export function createFileWire(options: FileWireOptions): FileWire {
  return new DiskWire(options)
}

class DiskWire implements FileWire {
  readonly store = FILE_STORE
  readonly meetingPlace = defaultDirectory()
  readonly directory: string
  private readonly node: ObservedNode
  private readonly counts = { flights: 0, commands: 0, failed: 0 }
  private readonly queue: FlightQueue
  private opening: Promise<FileStore> | undefined
  private file: FileStore | undefined
  private clearances: Clearances | undefined
  private closed: FlightError | undefined

  constructor(private readonly options: FileWireOptions) {
    const { settings, clock, flightMs } = options
    this.directory = resolve(settings.directory)
    this.node = { name: this.directory, system: FILE_STORE.name, address: this.directory, port: undefined }
    this.queue = new FlightQueue({
      flightMs,
      nowMs: () => clock.nowMs(),
      run: (flights, areNew) => this.file?.run(flights, areNew) ?? [],
    })
  }

  flight(route: string, commands: readonly Command[]): Promise<Reply[]> {
    return promised((told) => this.send(route, commands, told))
  }

  send(_route: string, commands: readonly Command[], receiver: Receiver): void {
    const problem = this.closed ?? problemIn(commands)
    if (problem !== undefined) {
      failLater(receiver, problem)
      return
    }
    if (commands.length === 0) {
      queueMicrotask(() => {
        receiver.landed([])
      })
      return
    }
    this.counts.flights += 1
    this.counts.commands += commands.length
    if (this.file !== undefined) {
      this.queue.push(commands, receiver)
      return
    }
    this.opened().then(
      () => {
        this.queue.push(commands, receiver)
      },
      (error: unknown) => {
        this.counts.failed += 1
        receiver.failed(error)
      },
    )
  }

  nodeOf(): ObservedNode {
    return this.node
  }

  stats(): Readonly<Record<string, NodeStats>> {
    const { file } = this
    const connectionsOpened = file?.opened ?? 0
    const connections = file?.isOpen === true ? 1 : 0
    return { [this.directory]: { ...this.counts, batches: file?.transactions ?? 0, connectionsOpened, connections } }
  }

  maxValueBytes(_route: string, key: string): number {
    return largestValueBytes(key.length)
  }

  async *keys(prefix: string): AsyncGenerator<string> {
    const file = await this.opened()
    let next: string | undefined = prefix
    while (next !== undefined) {
      if (this.closed !== undefined) throw this.closed
      const page: ReturnType<FileStore['keys']> = file.keys(prefix, next, KEYS_AT_ONCE)
      yield* page.keys
      next = page.next
    }
  }

  async sweep(): Promise<number> {
    await this.opened()
    return this.clearances?.pass('asked') ?? 0
  }

  async close(): Promise<void> {
    if (this.closed !== undefined) return
    this.closed = new FlightError('not-sent', `The store in ${this.directory} was closed.`)
    this.queue.close(this.closed)
    this.clearances?.close()
    this.file?.close()
  }

  /** @throws FlightError: there is no SQLite, or the wire was closed. */
  private opened(): Promise<FileStore> {
    this.opening ??= loadSqlite().then(
      (sqlite) => this.ready(sqlite),
      (cause: unknown) => {
        throw new FlightError('not-sent', cause instanceof Error ? cause.message : String(cause), { cause })
      },
    )
    return this.opening
  }

  private ready(sqlite: Sqlite): FileStore {
    if (this.closed !== undefined) throw this.closed
    const { settings, clock, isOfProcesses = () => false } = this.options
    const { directory } = this
    const store = new FileStore({
      sqlite,
      settings,
      directory,
      clock: storeClock(clock),
      mayMake: this.options.mustExist !== true,
      nextVersion,
      isOfProcesses,
    })
    this.file = store
    this.clearances = new Clearances({ store, everyMs: settings.gcSec * 1000 })
    this.clearances.start()
    this.warnOfFileSystem()
    return store
  }

  private warnOfFileSystem(): void {
    try {
      if (!isDoubtful(this.directory)) return
    } catch {
      // It is not there yet.
      return
    }
    this.options.onWarning?.({
      code: 'LATCHKEY_FILE_SYSTEM_UNKNOWN',
      node: this.directory,
      message:
        `${this.directory} is on a FUSE file system, which may be on another machine; sessions are safe there only if it is not. ` +
        'Name a directory on a disk of this machine in the save path.',
    })
  }
}

/**
 * A version that no item ever had. A counter in the file would begin again with a copy of the file that was put back, and after
 * a power cut that took the last writes; one in memory, with a process that is resumed twice from one snapshot.
 */
const nextVersion = (): string => nonceOf(systemRandom).name()

function problemIn(commands: readonly Command[]): FlightError | undefined {
  for (const command of commands) {
    const problem = problemOfKey(command.key) ?? ('ttlSec' in command ? problemOfTtl(command.ttlSec) : undefined)
    if (problem !== undefined) return new FlightError('not-sent', problem)
  }
  return undefined
}
