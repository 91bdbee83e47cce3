/** SQLite's log of a store on disk, and its index, as a cleaner of temporary files takes them away. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'

export const LOG = ['-wal', '-shm'] as const

export function takeAway(directory: string, endings: readonly string[]): void {
  for (const ending of endings) rmSync(join(directory, `sessions.db${ending}`), { force: true })
}
