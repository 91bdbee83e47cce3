import { lstatSync, mkdirSync, readdirSync, statSync, unlinkSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The longest path of a unix socket on every system that has them (104 bytes on macOS, 108 on Linux), less a margin. */
const MAX_PATH_BYTES = 100
const NAME = /^[0-9a-f]{20}$/
/**
 * A door whose process has ended is left for this long. By then nobody can be waiting for a lock of that process;
 * removed earlier, the door could not refuse those who call, and they would not learn that the process has ended.
 */
const STALE_MS = 2 * 3_600_000
const MAX_SWEPT = 100

/** The directory of doors that all processes of this user share, in the system's directory for temporary files. */
export const defaultDirectory = (): string => join(tmpdir(), `latchkey-${String(ownUid())}`)

/** The id of the user who runs this process; Windows has none. */
const ownUid = (): number | undefined => process.getuid?.()

/**
 * The path of the door `name` in `directory`. Undefined where `name` is not the name of a door (it comes from a lock's
 * token, and anybody who can write to the store may have written that), or where the path is too long for a socket.
 */
export function doorPath(directory: string, name: string): string | undefined {
  const path = join(directory, name)
  return NAME.test(name) && Buffer.byteLength(path) <= MAX_PATH_BYTES ? path : undefined
}

/**
 * Whether only this user can enter `directory`; makes the directory if it is missing. A directory that others can write
 * to is not used: they could put their own door in the place of ours, and make us believe that a holder has died.
 */
export function isOurs(directory: string): boolean {
  try {
    mkdirSync(directory, { mode: 0o700 })
  } catch {
    // Mostly the directory is there already. Any other fault shows in the check below.
  }
  try {
    const found = lstatSync(directory)
    return found.isDirectory() && found.uid === ownUid() && (found.mode & 0o077) === 0
  } catch {
    return false
  }
}

/** Removes old doors whose process has ended, in the background and a limited number at a time. */
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
    // Another process has removed it already.
  }
}
