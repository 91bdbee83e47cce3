import { areSameBytes, type Command, failLater, FlightError, type Reply, type Value } from '../wire.js'
import { type Head, headIn, headText, nextCount, type Seal, withHead } from './copy.js'
import type { Council } from './council.js'
import { adviceIn, ask, type Errand, exitReply, inOrder, isUnsure, MISSING, OK, tooFew } from './flight.js'
import { type Answer, type Question, type Round } from './round.js'
import { headOf, heardIn, isReceipt, isWritten, nodesOf, type Receipt } from './judge.js'
import type { Member } from './member.js'
import { type Reserved, reserve } from './reserving.js'
import { lookAgain, type Target } from './target.js'
import { type LockPart, LockVersions, type RecordPart, RecordVersions } from './versions.js'

interface Left extends Receipt {
  readonly advice: Reply | undefined
}

type Exit = Command & { readonly op: 'cad' | 'cas' }

/**
 * Stores the record and lets go of the lock, or keeps it: on the nodes that have granted it, and only there. It is
 * acknowledged where a majority has written *and* found the lock ours behind the write.
 */
export class Leaving implements Question<Left> {
  readonly route: string
  /** Nothing is written anywhere else, nor where it is refused. */
  private readonly targets = new Map<number, Target>()
  private readonly adviser: Member | undefined
  private readonly stored: Value | undefined
  private readonly storedSec: number
  private readonly refreshed = new Set<number>()
  /** Where the lock that was kept or handed on counts. */
  private readonly counted = new Set<number>()
  private head: Head = { ...headOf(undefined), seals: [] }
  private readonly token: Value
  private readonly council: Council
  /** Where it is not let go of with the others, and may stand as well. */
  private readonly strays: readonly number[]

  /** @param written what was sent already, where it was. */
  constructor(
    private readonly errand: Errand,
    private readonly exit: Exit,
    locks: LockVersions,
    written?: Value,
  ) {
    const { set, sorted, route } = errand
    const { change } = sorted
    this.route = route
    this.token = locks.token
    this.council = locks.council
    const known = change?.op === 'cas' && change.cas instanceof RecordVersions ? change.cas : undefined
    for (const [node, lock] of locks.parts) {
      const record = known === undefined ? NOTHING_THERE : known.parts.get(node)
      if (change === undefined || record !== undefined) this.targets.set(node, { lock, record })
    }
    this.strays = [...locks.strays, ...[...locks.parts.keys()].filter((node) => !this.targets.has(node))]
    this.adviser = sorted.advice === undefined ? undefined : this.members[0]
    this.storedSec = 0
    if (change === undefined) return
    const seals = [...locks.parts.values()].map(({ incarnation, cas }): Seal => ({ incarnation, version: cas.version }))
    this.head = (written === undefined ? undefined : headIn(written)) ?? { ...nextCount(headOf(known), change, set.nextOrdinal(), set.clock), seals }
    this.storedSec = this.head.longestSec
    this.stored = written ?? withHead(headText(this.head), change.value)
  }

  private get members(): readonly Member[] {
    return this.errand.set.members.filter(({ index }) => this.targets.has(index))
  }

  start(): void {
    const { set, receiver, sorted } = this.errand
    // A copy whose lock a majority did not grant would have no place in the order of all copies.
    if (sorted.change !== undefined && !this.council.isMajority([...this.targets.keys()])) {
      failLater(receiver, new FlightError('not-sent', `the lock is ours on ${String(this.targets.size)} of ${String(set.quorum.replicas)} nodes only`))
      return
    }
    const key = sorted.change?.key
    const bare = key === undefined ? [] : this.members.filter(({ index }) => this.targets.get(index)?.record?.cas === undefined)
    if (key === undefined || bare.length === 0) return ask(set, this, this.members)
    const others = this.members.flatMap((member) => (bare.includes(member) ? [] : [member.index]))
    const isEnough = (nodes: readonly number[]): boolean => this.council.isMajority([...others, ...nodes])
    reserve({ set, route: this.route, key, lockKey: this.exit.key, token: this.token, members: bare, isEnough, done: (reserved) => this.goOn(reserved) })
  }

  private goOn(reserved: ReadonlyMap<number, Reserved>): void {
    for (const [node, place] of reserved) {
      const target = this.targets.get(node)
      if (target !== undefined) this.targets.set(node, { lock: target.lock, ...place })
    }
    ask(this.errand.set, this, this.members)
  }

  commandsFor(member: Member): readonly Command[] {
    const target = this.targets.get(member.index)
    const { advice } = this.errand.sorted
    if (target === undefined) return []
    const exit: Exit = { ...this.exit, cas: target.lock.cas }
    const change = this.changeFor(target)
    const commands: Command[] = change === undefined ? [exit] : [change, exit]
    if (advice !== undefined && member === this.adviser) commands.push(advice)
    return commands
  }

  /** By the version of what stands there, and never where nothing does (reserving.ts). */
  private changeFor({ record }: Target): Command | undefined {
    const { stored: value, storedSec: ttlSec } = this
    const { change } = this.errand.sorted
    if (value === undefined || change === undefined || record?.cas === undefined) return undefined
    const item = { key: change.key, value, ttlSec, flags: flagsOf(change) }
    return { op: 'cas', cas: record.cas, wantCas: this.exit.op === 'cas', ...item }
  }

  hear(member: Member, replies: readonly Reply[]): Left {
    const target = this.targets.get(member.index)
    const at = this.stored === undefined || target?.record?.cas === undefined ? 0 : 1
    return {
      change: at === 1 ? (replies[0] ?? MISSING) : this.stored === undefined ? undefined : (target?.refusal ?? MISSING),
      exit: replies[at] ?? MISSING,
      advice: member === this.adviser ? replies[at + 1] : undefined,
    }
  }

  stateOf(answers: readonly Answer<Left>[]): 'open' | 'enough' | 'over' {
    const receipts = heardIn(answers).flatMap(([node, left]) => (isReceipt(left) ? [node] : []))
    // The others are waited for a moment: who comes next finds them free, and does not depend on this majority alone.
    if (this.council.isMajority(receipts)) return 'enough'
    const pending = this.members.flatMap(({ index }) => (answers[index] === undefined ? [index] : []))
    return this.council.isMajority([...receipts, ...pending]) ? 'open' : 'enough'
  }

  lost(member: Member): void {
    if (!this.isKept) this.leave(member)
  }

  /** The token counts on: where it was not seen to be kept it stands until it is let go of. */
  private get isKept(): boolean {
    const { exit, token } = this
    return exit.op === 'cas' && areSameBytes(exit.value, token)
  }

  /** A lock that was to be kept is nobody's any more on these nodes. Default: wherever it may stand. */
  private abandon(nodes: readonly number[] = [...this.strays, ...this.targets.keys()]): void {
    if (this.isKept) for (const node of nodes) this.leave(this.errand.set.members[node])
  }

  /** Where it was not seen to go, it may stand for a lease. */
  private leave(member: Member | undefined): void {
    const { exit, token, route, errand } = this
    if (member === undefined) return
    const tokens = exit.op === 'cad' ? [token] : [token, exit.value]
    errand.set.leftovers.note({ member, route, lockKey: exit.key, tokens, isCounted: () => this.counted.has(member.index) })
  }

  /** A lock that was kept or handed on where it was not waited for any more: nobody counts it, and it would stand for a lease. */
  late(member: Member, { exit: { status, cas } }: Left): void {
    if (this.exit.op !== 'cas' || status !== 'ok' || cas === undefined) return
    member.takeOff(this.route, this.exit.key, cas, () => this.leave(member))
  }

  /**
   * A connection was opened anew, and what was known of the node may be that of another process. Lock and copy are read again:
   * if both are what they were, the flight is sent once more.
   */
  recover(round: Round<Left>, member: Member, error: FlightError): boolean {
    const target = this.targets.get(member.index)
    const { set, sorted } = this.errand
    if (!error.untrusted || this.refreshed.has(member.index) || target === undefined) return false
    this.refreshed.add(member.index)
    const { route, token, exit } = this
    lookAgain({ route, token, lockKey: exit.key, recordKey: sorted.change?.key, getMark: set.getMark }, member, target).then(
      (fresh) => {
        if (fresh === undefined) return round.take(member, error)
        this.targets.set(member.index, fresh)
        round.askOne(member, this.commandsFor(member))
      },
      () => round.take(member, error),
    )
    return true
  }

  done(answers: readonly Answer<Left>[]): void {
    const { set, receiver } = this.errand
    const heard = heardIn(answers)
    const receipts = heard.filter(([, left]) => isReceipt(left))
    const isAcknowledged = this.council.isMajority(nodesOf(receipts))
    this.leaveBehind(heard, isAcknowledged)
    if (isAcknowledged) return this.acknowledge(receipts, heard)
    const isUnclear = this.members.some(({ index }) => answers[index] === undefined || isUnsure(answers[index]))
    const isChange = this.stored !== undefined
    // A write that one node has taken may be found, and gone on from, by whoever comes next.
    if (isChange && (isUnclear || heard.some(([, left]) => isWritten(left)))) {
      this.abandon()
      return receiver.failed(new FlightError('unknown', `only ${String(receipts.length)} of ${String(set.quorum.replicas)} nodes have stored it under the lock`, { isFinal: true }))
    }
    // A lock that is let go of on most nodes is free, and one that is kept on most is ours.
    if (heard.length === 0 || isUnclear) return receiver.failed(this.failureOf(answers))
    // A renewal that too few have taken is looked into, and the others may have the lock still; of a write that was refused its holder is told that it is lost.
    this.abandon(isChange ? undefined : nodesOf(heard.filter(([, { exit }]) => exit.status === 'ok')))
    const refusal = heard.map(([, { change }]) => change).find((change) => change !== undefined && change.status !== 'missing')
    this.land(heard, { change: isChange ? (refusal ?? MISSING) : undefined, exit: exitReply(this.exit.op, heard) })
  }

  /** When it is let go of, or handed on. By another version than the known one it may be ours still: a renewal that failed has kept it. */
  private leaveBehind(heard: readonly (readonly [number, Left])[], isAcknowledged: boolean): void {
    if (this.isKept) return
    // Handed on where the record was not stored, or on too few nodes, it does not count.
    const isLeft = (left: Left): boolean => left.exit.status === 'exists' || (this.exit.op === 'cas' && left.exit.status === 'ok' && !(isAcknowledged && isWritten(left)))
    const nodes = heard.flatMap(([node, left]) => (isLeft(left) ? [node] : []))
    for (const node of [...this.strays, ...nodes]) this.leave(this.errand.set.members[node])
  }

  private failureOf(answers: readonly Answer<Left>[]): FlightError {
    const failures = answers.filter((answer) => answer instanceof FlightError)
    if (failures.length > 0 && failures.every(({ untrusted }) => untrusted) && heardIn(answers).length === 0) return failures[0] ?? NONE
    return tooFew(this.errand.set.quorum, answers, this.members, false)
  }

  private acknowledge(receipts: readonly (readonly [number, Left])[], heard: readonly (readonly [number, Left])[]): void {
    if (this.exit.op === 'cad') return this.land(heard, { change: OK, exit: OK })
    const locks = new Map<number, LockPart>()
    const records = new Map<number, RecordPart>()
    for (const [node, { change, exit }] of receipts) {
      const target = this.targets.get(node)
      if (target === undefined || exit.cas === undefined) continue
      locks.set(node, { ...target.lock, cas: exit.cas })
      this.counted.add(node)
      if (change?.cas !== undefined) records.set(node, { cas: change.cas, copy: this.copy })
    }
    const { council } = this
    // What fewer know the version of is read again before it is written.
    const strays = this.isKept ? [...new Set([...this.strays, ...this.targets.keys()])].filter((node) => !locks.has(node)) : []
    const lock: Reply = { ...OK, cas: council.isMajority([...locks.keys()]) ? new LockVersions(locks, this.exit.value, council, strays) : undefined }
    const change: Reply = { ...OK, cas: !council.isMajority([...records.keys()]) ? undefined : new RecordVersions(records, this.head) }
    this.land(heard, { change, exit: lock })
  }

  private get copy(): RecordPart['copy'] {
    const { change } = this.errand.sorted
    return change && { head: this.head, headText: headText(this.head), value: change.value, flags: flagsOf(change) }
  }

  private land(heard: readonly (readonly [number, Left])[], { change, exit }: { readonly change: Reply | undefined; readonly exit: Reply }): void {
    const { errand, adviser } = this
    errand.receiver.landed(inOrder(errand, { change, lock: exit, advice: adviceIn(adviser, heard) }))
  }
}

const NOTHING_THERE: RecordPart = { cas: undefined, copy: undefined }
const NONE = new FlightError('not-sent', 'no node was asked')

const flagsOf = (change: Command | undefined): number => (change !== undefined && 'flags' in change ? (change.flags ?? 0) : 0)
