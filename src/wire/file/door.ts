/** Processes open the store one after the other: what SQLite makes as it opens, and must not make, is seen by nobody. */
import { closeSync, openSync } from 'node:fs'
import type { Sqlite } from './sqlite.js'
import { look } from './store-files.js'

/** An empty file. Who has it locked is opening the store; the system takes the lock from a process that is killed. */
export const doorOf = (path: string): string => `${path}-open`

/** Without a journal on the disk, which SQLite would begin for a file that is empty. */
export const LOCK_DOOR = 'PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE'

/** Runs `work` while no other process does. @throws SQLite's error of a busy file where one does. */
export function behindDoor<T>(sqlite: Sqlite, path: string, work: () => T): T {
  const file = doorOf(path)
  // By us, and not by SQLite: it would let everybody read it, and who can read it can lock it.
  if (look(file) === undefined) closeSync(openSync(file, 'a', 0o600))
  const door = sqlite.open(file)
  try {
    door.exec(LOCK_DOOR)
    return work()
  } finally {
    door.close()
  }
}
