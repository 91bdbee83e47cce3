/** A lock that one node alone keeps, as its end was not heard there: the node takes no copy as long as it stands. */
import { LockTimeoutError } from '../errors.js'
import type { ReplicaNodes } from '../wire/replica-nodes.js'
import type { Item } from './repair-items.js'
import type { SessionEngine } from './session-engine.js'

/** How often it is looked for, in milliseconds: it ends with its lease, or is taken off by who has left it there. */
const LOOK_EVERY_MS = 250

export interface LeftLock {
  readonly nodes: ReplicaNodes
  readonly item: Item
  /** Those that have answered, and did not take the record. */
  readonly lacking: readonly number[]
  readonly engine: SessionEngine
  readonly untilMs: number
  /** `waiting` is told once, of the node that is waited for. */
  readonly options: { readonly signal: AbortSignal; readonly waiting?: ((route: string, node: string) => void) | undefined }
  readonly nameOf: (node: number) => string
}

/**
 * Waits for it, as for any other holder's.
 *
 * @returns false: there was none.
 * @throws LockTimeoutError: it stands still.
 */
export async function lockGone({ nodes, item, lacking, engine, untilMs, options, nameOf }: LeftLock): Promise<boolean> {
  const { clock, waitMs } = engine.settings
  if (lacking.length === 0) return false
  let keeper = await keeperAmong(nodes, item, lacking)
  if (keeper === undefined) return false
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
    keeper = await keeperAmong(nodes, item, lacking)
  }
  return true
}

async function keeperAmong(nodes: ReplicaNodes, { route, lockKey }: Item, lacking: readonly number[]): Promise<number | undefined> {
  const { sights: [lock] } = await nodes.look([{ route, key: lockKey }])
  return lacking.find((node) => lock !== undefined && !lock.missing.includes(node) && !lock.away.includes(node))
}
