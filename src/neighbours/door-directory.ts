import { lstatSync, mkdirSync } from 'node:fs'
import { chmod, readdir, stat, unlink, utimes } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The longest path of a unix socket on every system that has them (104 bytes on macOS, 108 on Linux), less a margin. */
const MAX_PATH_BYTES = 100
const NAME = /^[0-9a-f]{20}$/
/** How long a door is left after it was first seen that its process has ended. No lease is longer than an hour. */
const STALE_MS = 2 * 3_600_000
const MAX_SWEPT = 1000
/** The mode of a door that was seen to be deserted, at its mtime. A socket that is made never has it: it may be executed. */
const MARK = 0o600

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

/**
 * Removes doors whose process has ended, once they have been seen so for `STALE_MS`. How old a door is says nothing: a
 * process that ran for days may have died a moment ago, and those who wait for its lock learn it from its door alone.
 * Nobody waits for the sweep; it never throws.
 */
export async function sweepDoors(directory: string, nowMs: number): Promise<void> {
  try {
    const doors = (await readdir(directory)).flatMap((name) => doorPath(directory, name) ?? [])
    for (const path of doors.slice(0, MAX_SWEPT)) await sweepDoor(path, nowMs)
  } catch {
    // Another process has removed one of them meanwhile, or the directory; the next process sweeps on.
  }
}

async function sweepDoor(path: string, nowMs: number): Promise<void> {
  const { mode, mtimeMs } = await stat(path)
  const isMarked = (mode & 0o777) === MARK
  if ((isMarked && nowMs - mtimeMs <= STALE_MS) || !(await isDeserted(path))) return
  if (isMarked) {
    await unlink(path)
    return
  }
  await utimes(path, nowMs / 1000, nowMs / 1000)
  await chmod(path, MARK)
}

/** Whether nobody listens behind it. */
function isDeserted(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path)
    socket.unref()
    socket.on('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.on('error', (error) => {
      resolve('code' in error && error.code === 'ECONNREFUSED')
    })
  })
}
