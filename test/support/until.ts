import { setTimeout as delay } from 'node:timers/promises'

/** Programs that have to agree on something take seconds for it on a busy machine. */
const DEADLINE_MS = 30_000
const POLL_MS = 20

/** Looks again and again until programs are in the state that is meant. @param what as the end of "not in time: ..." */
export async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + DEADLINE_MS
  while (!(await isSo())) {
    if (performance.now() > deadlineMs) throw new Error(`not in time: ${what}`)
    await delay(POLL_MS)
  }
}
