import { lstatSync, mkdirSync, readdirSync, statSync, unlinkSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The longest path of a unix socket on every system that has them (104 bytes on macOS, 108 on Linux), less a margin. */
const MAX_PATH_BYTES = 100
const NAME = /^[0-9a-f]{20}$/
/** Doors of processes that ended by themselves are left until nobody can be waiting for a lock of theirs. */
const STALE_MS = 2 * 3_600_000
const MAX_SWEPT = 100

/** The directory of doors that every process of this user finds: in the system's directory for temporary files. */
export const defaultDirectory = (): string => join(tmpdir(), `latchkey-${String(ownUid())}`)

/** Windows has none. */
const ownUid = (): number | undefined => process.getuid?.()

/**
 * The path of the door `name` in `directory`; undefined where it is no name of a door (a name comes from a lock's token,
 * which anybody who can write to the store could have written), or the path is too long for a socket.
 */
export function doorPath(directory: string, name: string): string | undefined {
  const path = join(directory, name)
  return NAME.test(name) && Buffer.byteLength(path) <= MAX_PATH_BYTES ? path : undefined
}

/**
 * Whether only this user can enter `directory`, which is made if it is missing. A directory that others can write to is
 * not used: they could put their own door in the place of ours, and tell us that a holder has died.
 */
export function isOurs(directory: string): boolean {
  try {
    mkdirSync(directory, { mode: 0o700 })
  } catch {
    // It is there, most often. What else may be wrong shows when it is looked at.
  }
  try {
    const found = lstatSync(directory)
    return found.isDirectory() && found.uid === ownUid() && (found.mode & 0o077) === 0
  } catch {
    return false
  }
}

/** Takes away doors that nobody has opened for long and whose process has ended. In the background, some at a time. */
export function sweepDoors(directory: string, nowMs: number): void {
  for (const path of staleDoors(directory, nowMs).slice(0, MAX_SWEPT)) {
    const socket = createConnection(path)
    socket.unref()
    socket.on('connect', () => socket.destroy())
    socket.on('error', (error) => {
      if ('code' in error && error.code === 'ECONNREFUSED') removeDoor(path)
    })
  }
}

function staleDoors(directory: string, nowMs: number): string[] {
  try {
    const doors = readdirSync(directory).flatMap((name) => doorPath(directory, name) ?? [])
    return doors.filter((path) => nowMs - statSync(path).mtimeMs > STALE_MS)
  } catch {
    return []
  }
}

function removeDoor(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // Another process has taken it away.
  }
}
