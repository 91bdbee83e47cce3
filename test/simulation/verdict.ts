import type { Attempt, SessionTruth } from './truth.js'
import type { World } from './world.js'

const GRANT_MS = 2000

/** The rules that can be judged only at the end of a run. */

/** Rule: every acknowledged write is in its session's record, unless something that may remove it has removed it. */
export function judgeRecords(world: World): void {
  for (const attempt of world.history.attempts.values()) {
    if (attempt.outcome !== 'acked') continue
    const truth = world.history.session(attempt.session)
    const times = truth.text.split(' ').filter((op) => op === attempt.op).length
    if (times === 1 || (times === 0 && isExcused(attempt))) continue
    world.accuse('ackedLost', `${attempt.op} was acknowledged and is ${String(times)} times in ${truth.id} (${attempt.removed?.kind ?? '-'})`)
  }
}

function isExcused({ removed, invokedAtMs }: Attempt): boolean {
  switch (removed?.kind) {
    case undefined:
    case 'overwrite':
      return false
    case 'eviction':
    case 'restart':
      return true
    case 'expiry':
      return removed.isDue
    case 'destroy':
    case 'refusedSet':
      // A destroy that had ended before this write began must not remove it, however late the destroy is carried out.
      return removed.destroys.some(
        ({ outcome, settledAtMs }) => outcome === 'unknown' || outcome === 'pending' || settledAtMs >= invokedAtMs,
      )
  }
}

/**
 * Rule: a session that goes on under another id has ended under its old id, or somebody has changed it there since.
 * Where no answer was seen the end is tried again later; by now the server has answered for long enough.
 */
export function judgeEndings(world: World): void {
  for (const { id, text } of notEnded(world)) world.accuse('notEnded', `${id} goes on under another id, and is still "${text}"`)
}

/** Sessions that go on under another id and still stand under their old id. */
export function notEnded(world: World): SessionTruth[] {
  return [...world.history.sessions.values()].filter((truth) => {
    world.history.expire(truth)
    return truth.destroys.some(({ actor, isRetiring, outcome, executed, invokedAtMs, base }) => {
      if (!isRetiring || outcome !== 'acked' || executed !== 'no' || truth.text === '' || truth.text !== base) return false
      const owner = world.processes.find((one) => one.actor === actor)
      return owner !== undefined && !owner.host.isDead && !owner.isClosing && !truth.changedSince(invokedAtMs)
    })
  })
}

/** Rule: no lock that a live process has left behind is still there. */
export function judgeOrphans(world: World): void {
  for (const truth of world.history.sessions.values()) {
    world.history.expire(truth)
    const { lock } = truth
    if (lock === undefined || lock.isLate) continue
    // This lock was taken after all requests were over, to end a session late: it is in use.
    if (world.time.nowMs < lock.sinceMs + 3 * world.flightMs) continue
    // A grant to a process that has stopped waiting expires by itself.
    if (lock.label === undefined && world.time.nowMs < lock.sinceMs + GRANT_MS) continue
    const owner = world.processes.find(({ actor }) => actor === lock.actor)
    if (owner === undefined || owner.host.isDead || owner.isClosing) continue
    world.accuse('orphanLeft', `the lock of ${lock.label ?? 'a grant'} still stands for ${truth.id}, and nobody holds it`)
  }
}
