/** The files of a store that is open, as they were when it was opened: SQLite has them open, whatever becomes of their names. */
import { rmSync, type Stats, statSync } from 'node:fs'

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
  private constructor(
    readonly path: string,
    private readonly file: Identity,
    private readonly log: Identity,
    private readonly index: Identity,
  ) {}

  /** Undefined where there is no log, or no index of it. */
  static find(path: string): StoreFiles | undefined {
    const [log, index] = [look(logOf(path)), look(indexOf(path))]
    return log === undefined || index === undefined ? undefined : new StoreFiles(path, statSync(path), log, index)
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
    return isSame(look(logOf(this.path)), this.log) && isSame(look(indexOf(this.path)), this.index)
  }

  /** Removes what has the name of the log, or of its index, and is another file. */
  removeStrays(): void {
    if (!isSame(look(logOf(this.path)), this.log)) rmSync(logOf(this.path), { force: true })
    if (!isSame(look(indexOf(this.path)), this.index)) rmSync(indexOf(this.path), { force: true })
  }
}

const isSame = (found: Stats | undefined, { dev, ino }: Identity): boolean => found?.ino === ino && found.dev === dev
