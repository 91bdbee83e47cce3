import { repair, type RepairOptions } from '../../src/session/repair.js'
import type { Repaired } from '../../src/session/repaired.js'
import type { SessionEngine } from '../../src/session/session-engine.js'

/** Repairs with nobody who watches or stops it. @param leftSec as RepairOptions'; or what each node says of every record. */
export const repairUnwatched = (engine: SessionEngine, leftSec: number | RepairOptions['leftSec']): Promise<Repaired> =>
  repair(engine, {
    leftSec: typeof leftSec === 'number' ? () => Promise.resolve(leftSec) : leftSec,
    signal: new AbortController().signal,
    progress: () => undefined,
  })
