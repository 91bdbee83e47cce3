import { type CycleEnd, type CycleFound, type CycleSeat, type CycleStart, startReplies } from '../cycle.js'
import type { Reply, Value } from '../wire.js'
import { sealText } from './copy.js'
import { isOurs, type Mark, type Member } from './member.js'
import type { Round } from './round.js'

/** What a round is to the legs that tell it. */
export type Heir = Pick<Round<object>, 'landed' | 'failed' | 'giveUp'>

/** The cycle that a leg is a part of. */
export interface Legged {
  /** What the second flight writes. */
  readonly written: Value
  readonly writtenSec: number
  readonly writtenFlags: number
  started(leg: Leg): void
  ended(leg: Leg): void
  /** The round that judges what is not plain success. */
  contest(): Heir
}

/** A cycle on one node: both flights, and what they have found. */
export class Leg implements CycleStart, CycleEnd {
  readonly lockKey: string
  readonly recordKey: string
  readonly markKey: string
  readonly tokenName: string
  readonly tokenRest: string
  readonly leaseSec: number
  found: CycleFound | undefined
  mark: Mark | undefined
  /** Whether it went plainly well in this round. */
  isDone = false
  private seat: CycleSeat | undefined

  constructor(
    private readonly cycle: Legged,
    readonly member: Member,
    start: CycleStart,
    markKey: string,
  ) {
    const { keyPrefix } = member.place
    this.lockKey = keyPrefix + start.lockKey
    this.recordKey = keyPrefix + start.recordKey
    this.markKey = keyPrefix + markKey
    this.tokenName = start.tokenName
    this.tokenRest = start.tokenRest
    this.leaseSec = start.leaseSec
  }

  take(route: string): void {
    this.seat = this.member.place.wire.startCycle?.(route, this)
  }

  leave(): void {
    this.isDone = false
    this.seat?.end(this)
  }

  get value(): Value {
    return this.cycle.written
  }

  get ttlSec(): number {
    return this.cycle.writtenSec
  }

  get flags(): number {
    return this.cycle.writtenFlags
  }

  /** By which a later lock here is told from ours. */
  get seal(): string {
    return sealText(this.mark?.incarnation ?? '', this.found?.lockCas.version ?? '')
  }

  get startReplies(): Reply[] {
    return this.found === undefined ? [] : startReplies(this.found)
  }

  started(found: CycleFound): void {
    this.found = found
    const mark = found.mark === undefined ? undefined : this.member.markOf(found.mark)
    this.mark = isOurs(mark) ? mark : undefined
    this.isDone = true
    this.cycle.started(this)
  }

  ended(): void {
    this.isDone = true
    this.cycle.ended(this)
  }

  landed(replies: Reply[]): void {
    this.cycle.contest().landed(this.member, replies)
  }

  failed(error: unknown): void {
    this.cycle.contest().failed(this.member, error)
  }
}
