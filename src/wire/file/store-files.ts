/** The files of a store that is open, as they were when it was opened: SQLite has them open, whatever becomes of their names. */
import { type Stats, statSync } from 'node:fs'

/** SQLite's header. */
export const LEAST_BYTES = 512

export const look = (path: string): Stats | undefined => statSync(path, { throwIfNoEntry: false })

/** 0: there is no such file. */
export const sizeOf = (path: string): number => look(path)?.size ?? 0

export const logOf = (path: string): string => `${path}-wal`
export const indexOf = (path: string): string => `${path}-shm`

type Identity = Pick<Stats, 'dev' | 'ino'>

/** Each question throws the system's error where the path cannot be looked at. */
export class StoreFiles {
  private readonly file: Identity
  private readonly log: Identity
  private readonly index: Identity

  /** Of a store that was read: SQLite has made its log by then. */
  constructor(readonly path: string) {
    this.file = statSync(path)
    this.log = statSync(logOf(path))
    this.index = statSync(indexOf(path))
  }

  /** Of all files on the disk no other one has it. */
  get logNumber(): number {
    return this.log.ino
  }

  get logBytes(): number {
    return sizeOf(logOf(this.path))
  }

  /** Whether others find the file, and all of it is there: else writes would be lost, and locks would keep nobody out. */
  get isThere(): boolean {
    const found = look(this.path)
    return found !== undefined && isSame(found, this.file) && found.size >= LEAST_BYTES
  }

  /** Whether others find the log that is written here, and its index: else each would write a log of its own. */
  get hasItsLog(): boolean {
    return this.haveLog(look(logOf(this.path)), look(indexOf(this.path)))
  }

  haveLog(log: Stats | undefined, index: Stats | undefined): boolean {
    return isSame(log, this.log) && isSame(index, this.index)
  }
}

const isSame = (found: Stats | undefined, { dev, ino }: Identity): boolean => found?.ino === ino && found.dev === dev
