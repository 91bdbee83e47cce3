import { readFileSync } from 'node:fs'

/** Whether there is a process of this id. A zombie has ended, but its parent, or init, has not collected it yet. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return process.platform !== 'linux' || !/\) Z /.test(readFileSync(`/proc/${String(pid)}/stat`, 'utf8'))
  } catch {
    return false
  }
}
