import type { Attempt, SessionTruth } from './truth.js'
import type { World } from './world.js'

const GRANT_MS = 2000

/** The rules that only the end of a run decides. */

/** Every acknowledged write is in its session's record, unless something that was allowed to has removed it. */
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
      // A destroy that had come to its end before this write began has no right to it, however late it is carried out.
      return removed.destroys.some(
        ({ outcome, settledAtMs }) => outcome === 'unknown' || outcome === 'pending' || settledAtMs >= invokedAtMs,
      )
  }
}

/**
 * A session that goes on under another id has ended under its old one, or has been changed there since. Where no answer
 * was seen it ends later; by now the server has answered for long.
 */
export function judgeEndings(world: World): void {
  for (const { id, text } of notEnded(world)) world.accuse('notEnded', `${id} goes on under another id, and is still "${text}"`)
}

/** Sessions that go on under another id and still stand under their old one. */
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

/** No lock that a live process of ours has left behind is still there. */
export function judgeOrphans(world: World): void {
  for (const truth of world.history.sessions.values()) {
    world.history.expire(truth)
    const { lock } = truth
    if (lock === undefined || lock.isLate) continue
    // Taken after all requests were over, by one that ends a session late: in use.
    if (world.time.nowMs < lock.sinceMs + 3 * world.flightMs) continue
    // A grant to a process that has stopped waiting runs out by itself.
    if (lock.label === undefined && world.time.nowMs < lock.sinceMs + GRANT_MS) continue
    const owner = world.processes.find(({ actor }) => actor === lock.actor)
    if (owner === undefined || owner.host.isDead || owner.isClosing) continue
    world.accuse('orphanLeft', `the lock of ${lock.label ?? 'a grant'} still stands for ${truth.id}, and nobody holds it`)
  }
}
