/** What a call must come to under a fault: the oracle of the matrix. */
import type { FaultKind } from './fault-kinds.js'
import type { HookKind } from './hooks.js'

/** 'ok', or the code of the error without its LATCHKEY_. */
export type Verdict = string

const OK = 'ok'
const UNAVAILABLE = 'SERVER_UNAVAILABLE'
const UNKNOWN = 'OUTCOME_UNKNOWN'
const LOST = 'LOCK_LOST'
const GONE = 'SESSION_GONE'

/** The verdicts that are right for a hook under a fault; more than one where it depends on who is quicker. */
export function expected(hook: HookKind, fault: FaultKind): readonly Verdict[] {
  if (fault.seen === 'answer') return [OK]
  if (fault.empties === 'before') return onRestarted(hook)
  // Half of a batch's replies may be all of this call's.
  const half = fault.name === 'half a reply' ? [OK] : []
  switch (hook.nature) {
    // Acquiring is tried once more on a connection that ended, and not on a server that is silent.
    case 'acquires':
      if (fault.empties === 'in flight' && !fault.lasts) return [OK, UNAVAILABLE]
      return fault.seen === 'end' && !fault.lasts ? [OK] : [UNAVAILABLE]
    case 'looks':
      return [UNAVAILABLE, ...half]
    // Nothing can be read that proves a tombstone to be one's own.
    case 'destroys blindly':
      return [UNKNOWN, ...half]
    // What is not to be changed cannot fail; the lock is swept.
    case 'lets go':
      return [OK]
    case 'changes':
      return fault.lasts || fault.empties === 'in flight' ? [UNKNOWN] : [OK]
    case 'touches':
      if (fault.lasts) return [UNKNOWN]
      return fault.empties === 'in flight' ? [UNKNOWN, GONE] : [OK]
    case 'destroys':
      if (fault.lasts) return [UNKNOWN]
      return fault.empties === 'in flight' ? [OK, UNKNOWN] : [OK]
    // The write after it is sent to a server that answers again, or is not sent at all, or fails of its own.
    case 'renews':
      if (fault.lasts) return [UNAVAILABLE, UNKNOWN, LOST]
      return fault.empties === 'in flight' ? [LOST, UNAVAILABLE] : [OK]
  }
}

/** The versions that were read are of another life of the server: none of them is sent. */
function onRestarted({ nature }: HookKind): readonly Verdict[] {
  switch (nature) {
    case 'changes':
    case 'touches':
    case 'renews':
      return [LOST]
    default:
      return [OK]
  }
}

/** Errors that promise that nothing was stored, nor ever will be. */
export const isDefinite = (verdict: Verdict): boolean => verdict !== OK && verdict !== UNKNOWN
