/** A store on disk, as its operators see it. */
import { resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { bytes } from '../../system/format.js'
import type { OpenOptions } from '../open-options.js'
import type { Examination, Figures, Finding, OperatedNode, OperatedStore, OperateOptions } from '../operated-store.js'
import { FlightError, unsupportedIn, type Wire } from '../wire.js'
import { fileIn } from './database-file.js'
import { fileSystemOf, freeBytes, isDoubtful } from './directory.js'
import { FileStore } from './file-store.js'
import { createFileWire } from './file-wire.js'
import { PAGE_BYTES } from './room.js'
import type { FileStoreSettings } from './save-path.js'
import { loadSqlite, troubleOf } from './sqlite.js'
import { storeClock } from './store-clock.js'
import { logOf, sizeOf } from './store-files.js'

export function operateFile(settings: FileStoreSettings, options: OperateOptions): OperatedStore {
  const node = new OperatedFile(settings, options)
  return { nodes: [node], nodeOf: () => node }
}

const MIB = 1024 * 1024
const SMALL_DISK_BYTES = 100 * MIB
/** Copied into the file when it has some 32 MiB, and under a load without a pause cleared at 64. */
const LARGE_LOG_BYTES = 128 * MIB
const FULL_SHARE = 0.9
const KEYS_AT_ONCE = 1000
/** Another process that opens the store is done after some milliseconds. */
const PAUSE_MS = 10

interface Sizes {
  readonly fileBytes: number
  readonly logBytes: number
  readonly usedBytes: number
  readonly freeDiskBytes: number
}

class OperatedFile implements OperatedNode {
  readonly name: string

  constructor(
    private readonly settings: FileStoreSettings,
    private readonly options: OperateOptions,
  ) {
    this.name = resolve(settings.directory)
  }

  open(options: OpenOptions): Wire {
    return createFileWire({ ...options, settings: this.settings })
  }

  async keys(prefix: string): Promise<readonly string[]> {
    return this.asking((store) => {
      const keys: string[] = []
      let next: string | undefined = prefix
      while (next !== undefined) {
        this.options.signal.throwIfAborted()
        const page: ReturnType<FileStore['keys']> = store.keys(prefix, next, KEYS_AT_ONCE)
        keys.push(...page.keys)
        next = page.next
      }
      return keys
    })
  }

  async ttlSec(key: string): Promise<number | undefined> {
    const ttlMs = await this.asking((store) => store.ttlMs(key))
    return ttlMs === undefined ? undefined : Math.ceil(ttlMs / 1000)
  }

  figures(): Promise<Figures> {
    return this.asking((store) => {
      const sizes = this.sizesOf(store)
      const { survives, maxMiB } = this.settings
      const limit = maxMiB === undefined ? '' : ` of ${String(maxMiB)} MiB`
      return {
        data: { survives, ...sizes },
        about: this.aboutOf(sizes),
        rows: [
          ['in use', `${bytes(sizes.usedBytes)}${limit}`],
          ['file', bytes(sizes.fileBytes)],
          ['log', bytes(sizes.logBytes)],
          ['free on disk', bytes(sizes.freeDiskBytes)],
        ],
      }
    })
  }

  async examine(): Promise<Examination> {
    try {
      return await this.asking((store) => {
        const sizes = this.sizesOf(store)
        const fileSystem = fileSystemOf(this.name)
        const harm = store.ask('PRAGMA integrity_check(3)').map(textOf).filter((text) => text !== 'ok')
        const records = store.damagedRecords()
        if (records > 0) harm.push(`${String(records)} records are not what was stored`)
        return {
          data: { survives: this.settings.survives, fileSystem, ...sizes },
          about: `${this.aboutOf(sizes)}${fileSystem === undefined ? '' : `, on ${fileSystem}`}`,
          findings: [...(harm.length === 0 ? [] : [damaged(harm.join('; '))]), ...this.findingsOf(sizes)],
          hasAnswered: true,
        }
      })
    } catch (error) {
      this.options.signal.throwIfAborted()
      return { data: {}, about: 'cannot be used', findings: [this.notReached(error)], hasAnswered: false }
    }
  }

  examineUse(): Promise<readonly Finding[]> {
    return Promise.resolve([])
  }

  notReached(error: unknown): Finding {
    const message = error instanceof Error ? error.message : String(error)
    const advice =
      unsupportedIn(error) === undefined
        ? 'Check the directory in the save path, whose it is, and that this runs as the same user as the application.'
        : 'Do as it says; no session can be kept here until then.'
    return { code: 'unreachable', severity: 'problem', message, advice }
  }

  private aboutOf({ usedBytes, freeDiskBytes }: Sizes): string {
    return `file store, ${bytes(usedBytes)} in use, ${bytes(freeDiskBytes)} free on disk`
  }

  private sizesOf(store: FileStore): Sizes {
    const file = fileIn(this.name)
    const pages = (name: string): number => Number(textOf(store.ask(`PRAGMA ${name}`)[0]))
    return {
      fileBytes: sizeOf(file),
      logBytes: sizeOf(logOf(file)),
      usedBytes: (pages('page_count') - pages('freelist_count')) * PAGE_BYTES,
      freeDiskBytes: freeBytes(this.name),
    }
  }

  private findingsOf({ usedBytes, logBytes, freeDiskBytes }: Sizes): Finding[] {
    const findings: Finding[] = []
    const limitBytes = this.settings.maxMiB === undefined ? undefined : this.settings.maxMiB * MIB
    if (limitBytes !== undefined && usedBytes > limitBytes * FULL_SHARE) {
      findings.push({
        code: 'store-nearly-full',
        severity: 'problem',
        message: `${bytes(usedBytes)} of ${bytes(limitBytes)} are in use; beyond that no session is stored.`,
        advice: 'Raise maxMiB in the save path, or let sessions live for less.',
      })
    }
    if (freeDiskBytes < SMALL_DISK_BYTES) {
      findings.push({
        code: 'disk-nearly-full',
        severity: 'problem',
        message: `Only ${bytes(freeDiskBytes)} are free on the disk; on a full one no session is stored.`,
        advice: 'Make room, or name a directory on another disk.',
      })
    }
    if (logBytes > LARGE_LOG_BYTES) {
      findings.push({
        code: 'log-large',
        severity: 'advice',
        message: `The log has grown to ${bytes(logBytes)}: it cannot be cleared while another program reads the file.`,
        advice: 'End what keeps the file open, a backup or a shell of sqlite3 say.',
      })
    }
    if (isDoubtful(this.name)) {
      findings.push({
        code: 'file-system-unknown',
        severity: 'advice',
        message: 'The directory is on a FUSE file system, which may be on another machine.',
        advice: 'Name a directory on a disk of this machine.',
      })
    }
    return findings
  }

  private async asking<T>(question: (store: FileStore) => T): Promise<T> {
    const { signal, clock, silenceMs } = this.options
    signal.throwIfAborted()
    const store = new FileStore({
      sqlite: await loadSqlite(),
      settings: this.settings,
      directory: this.name,
      clock: storeClock(clock),
      mayMake: false,
      // Nothing is written here.
      nextVersion: () => '',
      isOfProcesses: () => false,
    })
    try {
      return await this.answered(() => question(store), clock.nowMs() + silenceMs)
    } finally {
      store.close()
    }
  }

  /** Asks again while another process is just opening the store. */
  private async answered<T>(ask: () => T, untilMs: number): Promise<T> {
    const { signal, clock } = this.options
    for (;;) {
      try {
        return ask()
      } catch (error) {
        const isBusy = error instanceof FlightError && troubleOf(error.cause) === 'busy'
        if (!isBusy || clock.nowMs() > untilMs) throw error
      }
      await pause(PAUSE_MS)
      signal.throwIfAborted()
    }
  }
}

const damaged = (what: string): Finding => ({
  code: 'file-damaged',
  severity: 'problem',
  message: `The file is damaged (${what}).`,
  advice: 'End the processes that use it, remove it with its -wal and -shm, and put a copy of it back, or begin with an empty store; the sessions in it are lost then.',
})

/** The one column of a row. */
const textOf = (row: unknown): string => (typeof row === 'object' && row !== null ? String(Object.values(row)[0]) : '')
