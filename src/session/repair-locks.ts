/** A lock that one node alone keeps, as its end was not heard there: the node takes no copy as long as it stands. */
import { LockTimeoutError } from '../errors.js'
import type { NodeState, RecordAt, Sight } from '../wire/replica-nodes.js'
import type { Item } from './repair-items.js'
import type { SessionEngine } from './session-engine.js'

/** How often it is looked for, in milliseconds: it ends with its lease, or is taken off by who has left it there. */
const LOOK_EVERY_MS = 250

export interface LeftLock {
  /** What the nodes have, but for those that do not answer. */
  readonly look: (keys: readonly RecordAt[]) => Promise<readonly Sight[]>
  readonly item: Item
  /** Those that have answered, and did not take the record. */
  readonly lacking: readonly number[]
  readonly engine: SessionEngine
  readonly untilMs: number
  /** `waiting` is told once, of the node that is waited for. */
  readonly options: { readonly signal: AbortSignal; readonly waiting?: ((route: string, node: string) => void) | undefined }
  readonly states: readonly NodeState[]
}

/**
 * Waits for it, as for any other holder's.
 *
 * @returns false: there was none.
 * @throws LockTimeoutError: it stands still.
 */
export async function lockGone({ look, item, lacking, engine, untilMs, options, states }: LeftLock): Promise<boolean> {
  const { clock, waitMs } = engine.settings
  if (lacking.length === 0) return false
  let keeper = await keeperAmong(look, item, lacking)
  if (keeper === undefined) return false
  const nameOf = (node: number): string => states[node]?.name ?? ''
  options.waiting?.(item.route, nameOf(keeper))
  while (keeper !== undefined) {
    options.signal.throwIfAborted()
    if (clock.nowMs() >= untilMs) {
      const message = `${nameOf(keeper)} keeps a lock of it still, after ${String(waitMs)} ms. It ends by itself, with its lease; run the repair again then.`
      throw new LockTimeoutError(message, { waitedMs: waitMs, holder: undefined })
    }
    await new Promise<void>((resolve) => {
      clock.setTimer(resolve, LOOK_EVERY_MS)
    })
    keeper = await keeperAmong(look, item, lacking)
  }
  return true
}

async function keeperAmong(look: LeftLock['look'], { route, lockKey }: Item, lacking: readonly number[]): Promise<number | undefined> {
  const [lock] = await look([{ route, key: lockKey }])
  return lacking.find((node) => lock !== undefined && !lock.missing.includes(node) && !lock.away.includes(node))
}
