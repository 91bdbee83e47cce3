/**
 * Puts all sessions on all of their nodes again, beside running applications. Each one is stored anew as a holder of its lock
 * stores it, so there is no rule here for what is newer, or for what was destroyed: docs/explain/replication.md.
 */
import { LockTimeoutError, NotSupportedError } from '../errors.js'
import { acquired, type Handle } from '../lock/protocol/handle.js'
import { severalAtOnce } from '../system/several-at-once.js'
import { UNKNOWN_TTL_SEC } from '../wire/operated-store.js'
import type { NodeState, RecordAt, ReplicaNodes, Sight } from '../wire/replica-nodes.js'
import { FlightError, type Quorum } from '../wire/wire.js'
import { type Item, itemOf, recordBeside } from './repair-items.js'
import { lockGone } from './repair-locks.js'
import type { Counts, NodeAfterRepair, Outcome, Repaired } from './repaired.js'
import type { SessionEngine } from './session-engine.js'

export interface RepairOptions {
  /** Seconds that a node gives a record to live still; undefined: it cannot tell. */
  readonly leftSec: (node: number, key: string) => Promise<number | undefined>
  readonly signal: AbortSignal
  /** Told after each portion. */
  readonly progress: (counts: Counts, total: number) => void
  /** Told of a record that waits for a lock which one node alone keeps still. */
  readonly waiting?: (route: string, node: string) => void
}

/** A record that is just stored anew is listed or not: the second walk sees what the first could not. */
const WALKS = 2
/** Records that are looked at in one flight, and so many portions at once. */
const PORTION = 32
const AT_ONCE = 2
/** A node may be late, and not be waited for. */
const TRIES = 3
const LABEL = 'latchkey repair'

/** @throws NotSupportedError LATCHKEY_NOT_SUPPORTED: not on several nodes, or they list no keys. */
export function repair(engine: SessionEngine, options: RepairOptions): Promise<Repaired> {
  const { quorum, replicaNodes } = engine.wire
  if (quorum === undefined || replicaNodes === undefined) {
    throw new NotSupportedError('There is nothing to repair: these servers keep one copy of each session. A save path with ?replicas= keeps several.')
  }
  return new Repair(engine, options, quorum, replicaNodes).run()
}

class Repair {
  private readonly outcomes = new Map<string, Outcome>()
  private readonly failures = new Map<string, unknown>()
  private states: readonly NodeState[] = []
  private wasEmptiedAgain = false

  constructor(
    private readonly engine: SessionEngine,
    private readonly options: RepairOptions,
    private readonly quorum: Quorum,
    private readonly nodes: ReplicaNodes,
  ) {}

  async run(): Promise<Repaired> {
    // Before the first key is listed: what a node has lost was acknowledged before it was marked as emptied.
    if (this.nodes.isChanging) {
      const { states, isBegun } = await this.nodes.beginChange()
      this.states = states
      if (!isBegun) return this.conclude(false)
    } else {
      this.states = await this.nodes.states(true)
    }
    for (const { name, state, listed, twin } of this.states) {
      if (twin !== undefined) throw new NotSupportedError(`${twin} and ${name} are one server. Name each server once.`)
      if (state === 'foreign') throw new NotSupportedError(`${name} is on another list of servers (${String(listed)}; here: ${this.nodes.listed}). Name the save path of the processes that use it.`)
    }
    let isListed = true
    for (let walk = 0; walk < WALKS && !this.wasEmptiedAgain; walk++) {
      const { keys, listed } = await this.walk()
      isListed &&= this.isEnough(listed)
      await this.repairAll([...keys].filter((key) => !this.isDone(key)).flatMap((key) => itemOf(this.engine, key) ?? []))
    }
    return this.conclude(isListed)
  }

  /**
   * A session of which there is a lock and no record yet is waited for: its holder may have begun by the old list, or with a node that has
   * lost the lock since, and its late copy, on a minority, could count as newer than what others acknowledge meanwhile.
   */
  private get seesLocks(): boolean {
    return this.nodes.isChanging || this.states.some(({ state }) => state === 'emptied')
  }

  /** Every key of every node that answers. */
  private async walk(): Promise<{ readonly keys: Set<string>; readonly listed: ReadonlySet<number> }> {
    const keys = new Set<string>()
    const listed = new Set<number>()
    const { seesLocks } = this
    for (const { node, state } of this.states) {
      if (state === 'away') continue
      this.options.signal.throwIfAborted()
      try {
        for await (const key of this.nodes.keys(node, this.engine.layout.prefix)) keys.add(seesLocks ? recordBeside(this.engine, key) : key)
        listed.add(node)
      } catch (error) {
        if (!(error instanceof FlightError)) throw error
      }
    }
    // What was emptied meanwhile has not told of all that it had.
    const now = await this.nodes.states(false)
    for (const { node, incarnation } of this.states) if (now[node]?.incarnation !== incarnation) listed.delete(node)
    return { keys, listed }
  }

  /**
   * Whether every session that a majority has acknowledged, with an emptied node among them, must have been listed: so few nodes are
   * left out that they are no majority, not even with the emptied ones. Or all were listed, and there is nothing more to learn.
   */
  private isEnough(listed: ReadonlySet<number>): boolean {
    const { replicas, majority } = this.quorum
    if (this.states.some(({ node, isOnNew }) => this.nodes.isChanging && isOnNew && !listed.has(node))) return false
    const { knowing } = this
    const unheard = knowing.filter(({ node, state }) => state !== 'whole' || !listed.has(node)).length
    return knowing.every(({ node }) => listed.has(node)) || unheard <= replicas - majority
  }

  /** Those by whom it is judged what there is: of a list that is being changed the nodes of the old one, until all is on the new ones. */
  private get knowing(): readonly NodeState[] {
    const isMoved = this.states.some(({ isOnOld, stage }) => isOnOld && stage === 'new')
    return this.states.filter(({ isOnOld, isOnNew }) => (isMoved ? isOnNew : isOnOld))
  }

  private async repairAll(items: readonly Item[]): Promise<void> {
    const portions = Array.from({ length: Math.ceil(items.length / PORTION) }, (_portion, at) => items.slice(at * PORTION, (at + 1) * PORTION))
    await severalAtOnce(portions, AT_ONCE, this.options.signal, async (portion) => {
      if (this.wasEmptiedAgain) return
      const sights = await this.look(portion)
      await Promise.all(portion.map((item, at) => this.repairOne(item, sights[at])))
      this.options.progress(this.counts, items.length)
    })
  }

  private readonly look = async (items: readonly RecordAt[]): Promise<readonly Sight[]> => {
    // Each portion would else wait for a node that does not answer, and there are thousands of them.
    const { incarnations, sights } = await this.nodes.look(items, this.states.flatMap(({ node, state }) => (state === 'away' ? [node] : [])))
    for (const [node, incarnation] of incarnations) {
      const known = this.states[node]
      if (known?.state === 'emptied' && known.incarnation !== incarnation) this.wasEmptiedAgain = true
    }
    return sights
  }

  private async repairOne(item: Item, sight: Sight | undefined): Promise<void> {
    try {
      // While the list is changed a session is the same when it is locked: who began by the old list may still store it.
      this.count(item, sight !== undefined && !this.nodes.isChanging && this.isWell(sight) ? 'same' : await this.storeAnew(item))
    } catch (error) {
      // Who holds it repairs it as well.
      const [now] = this.nodes.isChanging ? [] : await this.look([item])
      if (now !== undefined && this.isWell(now)) return this.count(item, 'repaired')
      this.count(item, error instanceof LockTimeoutError ? 'locked' : 'failed')
      this.failures.set(item.route, error)
    }
  }

  private count({ key, route }: Item, outcome: Outcome): void {
    this.outcomes.set(key, outcome)
    this.failures.delete(route)
  }

  private isDone(key: string): boolean {
    const outcome = this.outcomes.get(key)
    return outcome !== undefined && outcome !== 'locked' && outcome !== 'failed'
  }

  private get counts(): Counts {
    const counts: Record<Outcome, number> = { same: 0, repaired: 0, gone: 0, locked: 0, failed: 0 }
    for (const outcome of this.outcomes.values()) counts[outcome]++
    return counts
  }

  /** One copy on all of its nodes that are there; and those are a majority, and all that were emptied. */
  private isWell({ areAlike, away, missing, newest }: Sight): boolean {
    const { replicas, majority } = this.quorum
    // Where fewer have said it, the others may have lost what was acknowledged.
    if (newest === undefined || replicas - away.length < majority) return false
    return areAlike && missing.length === 0 && away.every((node) => !this.nodes.isChanging && this.states[node]?.state !== 'emptied')
  }

  private async storeAnew(item: Item): Promise<Outcome> {
    const untilMs = this.engine.settings.clock.nowMs() + this.engine.settings.waitMs
    let lacking: readonly number[] = []
    for (let left = TRIES; left > 0; left--) {
      const handle = await acquired(item.locker, item.route, { label: LABEL })
      try {
        if (handle.record === undefined) {
          // What an earlier holder stores late, on a minority, counts as older than all that follows on the tombstone.
          if (this.seesLocks && item.locker === this.engine.locker) await handle.end()
          return 'gone'
        }
        const [before] = await this.look([item])
        if (before !== undefined && this.isWell(before)) return 'same'
        await this.storeUnder(handle, before, item)
      } finally {
        if (!handle.isLeft) await handle.release()
      }
      const [after] = await this.look([item])
      if (after === undefined) continue
      if (after.missing.length === 0 && (this.isWell(after) || after.away.length === 0)) return 'repaired'
      lacking = [...after.missing, ...after.away]
      const { engine, options, states, look } = this
      if (await lockGone({ engine, options, states, look, item, untilMs, lacking: after.missing })) left++
    }
    throw new Error(`${lacking.map((node) => this.states[node]?.name).join(' and ') || 'One of its nodes'} did not take it; does it answer, and has it room for it (its item size -I, its memory -m)?`)
  }

  /** With the lifetime that it has left: a visit would give it a new one. */
  private async storeUnder(handle: Handle, sight: Sight | undefined, { key }: Item): Promise<void> {
    const { record = EMPTY } = handle
    // Not destroyed anew: what has begun since the lock was lost would go as well.
    if (record.length === 0) return handle.end()
    const { newest } = sight ?? {}
    const leftSec = newest && (newest.endsAtSec > 0 ? Math.ceil(newest.endsAtSec - this.engine.settings.clock.wallMs() / 1000) : await this.options.leftSec(newest.node, key))
    await handle.touch(Math.max(leftSec ?? UNKNOWN_TTL_SEC, 1))
  }

  private async conclude(isListed: boolean): Promise<Repaired> {
    if (this.nodes.isChanging) return this.concludeChange(isListed)
    const { counts, failures, states } = this
    const emptied = states.filter(({ state }) => state === 'emptied')
    const obstacle = this.obstacle(isListed)
    const whole = new Set<number>()
    if (obstacle === undefined) {
      for (const { node, incarnation = '' } of emptied) if (await this.nodes.declareWhole(node, incarnation)) whole.add(node)
    }
    const nodes = states.map(({ node, name, state }): NodeAfterRepair => ({ name, was: state, is: whole.has(node) ? 'whole' : state }))
    return { counts, failures, nodes, isChanged: false, obstacle: obstacle ?? (whole.size < emptied.length ? 'again' : undefined) }
  }

  private obstacle(isListed: boolean): Repaired['obstacle'] {
    const { locked, failed } = this.counts
    return this.wasEmptiedAgain ? 'again' : locked + failed > 0 ? 'records' : isListed ? undefined : 'nodes'
  }

  private async concludeChange(isListed: boolean): Promise<Repaired> {
    const { counts, failures, states } = this
    const obstacle = this.obstacle(isListed) ?? ((await this.nodes.endChange(states)) ? undefined : 'again')
    const nodes = states.map(({ name, state, isOnOld, isOnNew }): NodeAfterRepair => {
      const is = obstacle !== undefined ? state : isOnNew ? 'whole' : 'left'
      return { name, was: isOnOld ? state : 'joining', is }
    })
    return { counts, failures, nodes, obstacle, isChanged: obstacle === undefined }
  }
}

const EMPTY = Buffer.alloc(0)
