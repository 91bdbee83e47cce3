import type { Holder } from '../../errors.js'
import { labelIn } from '../../lock/protocol/lock-token.js'
import type { HoldSeen, MarkSeen, WaitSeen, Witness } from '../../observe/witness.js'
import type { SessionNow } from '../../lock/scene.js'
import { hashOf } from '../../system/session-hash.js'
import type { HoldShown, MarkShown, NowShown, RouteShown, WaitShown } from './frame.js'
import { LastWrites } from './last-writes.js'
import { Ring } from './ring.js'
import { Routes, textOf } from './routes.js'

/** What is kept between two frames. A hold that tells something has its place before one of the many that went well. */
const MOST_TELLING = 300
const MOST_PLAIN = 40
const MOST_MARKS = 100
/** A hold of this length tells something. */
const LONG_MS = 20
const MAX_LABEL_LENGTH = 120
const MAX_REASON_LENGTH = 300

/** What a frame takes over. */
export interface Recorded {
  readonly holds: readonly HoldShown[]
  readonly waits: readonly WaitShown[]
  readonly marks: readonly MarkShown[]
  readonly routes: readonly RouteShown[]
  readonly dropped: number
}

/** Turns the manager's clock into milliseconds since 1970. */
type Wall = (atMs: number) => number

/**
 * Records what the locks of a manager tell, in bounded memory. It is called in the middle of requests: it sums up, and
 * keeps what it is given. Ids are hashed when a frame is made, of what is shown only.
 */
export class Recorder implements Witness {
  private readonly telling = new Ring<HoldSeen>(MOST_TELLING)
  private readonly plain = new Ring<HoldSeen>(MOST_PLAIN)
  private readonly waits = new Ring<WaitSeen>(MOST_TELLING)
  private readonly marks = new Ring<MarkSeen>(MOST_MARKS)
  private readonly routes = new Routes()
  private readonly lastWrites = new LastWrites()

  held(seen: HoldSeen): void {
    const isUnlocked = seen.wroteUnlocked !== undefined
    const hold = isUnlocked ? this.lastWrites.judged(seen) : seen
    const heldMs = hold.overAtMs - hold.sinceMs
    const route = this.routes.of(keyOf(hold))
    route.holds++
    route.heldMs += heldMs
    route.causedMs += hold.causedMs
    if (heldMs > route.longestMs) route.longestMs = heldMs
    if (hold.outcome !== 'ok') route.failures++
    const tells = isUnlocked || heldMs >= LONG_MS || hold.causedMs > 0 || hold.outcome !== 'ok' || hold.to !== 'nobody'
    ;(tells ? this.telling : this.plain).push(hold)
  }

  waited(wait: WaitSeen): void {
    const route = this.routes.of(jsonOf(wait.label))
    route.waits++
    route.waitedMs += wait.overAtMs - wait.sinceMs
    if (wait.outcome !== 'ok') route.failures++
    if (wait.stranger?.label !== undefined) this.routes.of(jsonOf(wait.stranger.label)).causedMs += wait.overAtMs - wait.sinceMs
    this.waits.push(wait)
  }

  marked(mark: MarkSeen): void {
    this.marks.push(mark)
  }

  /** Whether anything was recorded since the last frame. */
  get isEmpty(): boolean {
    return this.telling.size + this.plain.size + this.waits.size + this.marks.size === 0
  }

  /** Everything since the last frame. */
  take(wall: Wall): Recorded {
    const dropped = this.telling.dropped + this.plain.dropped + this.waits.dropped
    const holds = [...this.telling.take(), ...this.plain.take()].sort((one, other) => one.overAtMs - other.overAtMs)
    return {
      holds: holds.map((hold) => holdShown(hold, wall)),
      waits: this.waits.take().map((wait) => waitShown(wait, wall)),
      marks: this.marks.take().map(({ id, kind, atMs, outcome }) => ({ session: hashOf(id), kind, atMs: wall(atMs), outcome })),
      routes: this.routes.take(),
      dropped,
    }
  }
}

const jsonOf = (label: string | undefined): string => (label === undefined ? '' : JSON.stringify(label.slice(0, MAX_LABEL_LENGTH)))
const keyOf = ({ token, label }: HoldSeen): string => (token === undefined ? jsonOf(label) : labelIn(token))
const cut = (reason: string | undefined): string | undefined => reason?.slice(0, MAX_REASON_LENGTH)
export const tenths = (ms: number): number => Math.round(ms * 10) / 10

function holdShown(hold: HoldSeen & { readonly over?: string | undefined }, wall: Wall): HoldShown {
  const { id, sinceMs, overAtMs, outcome, reason, to, causedMs, over } = hold
  return {
    session: hashOf(id),
    label: textOf(keyOf(hold)),
    sinceMs: wall(sinceMs),
    heldMs: tenths(overAtMs - sinceMs),
    outcome,
    reason: cut(reason),
    over,
    to,
    causedMs: tenths(causedMs),
  }
}

function waitShown({ id, label, sinceMs, overAtMs, outcome, reason, stranger }: WaitSeen, wall: Wall): WaitShown {
  return {
    session: hashOf(id),
    label: label?.slice(0, MAX_LABEL_LENGTH),
    sinceMs: wall(sinceMs),
    waitedMs: tenths(overAtMs - sinceMs),
    outcome,
    reason: cut(reason),
    stranger: strangerOf(stranger),
  }
}

/** A session as it is now. */
export function nowShown({ id, token, heldMs, leaseLeftMs, waiting, waiters, stranger }: SessionNow): NowShown {
  return {
    session: hashOf(id),
    isHeld: token !== undefined,
    label: token === undefined ? undefined : textOf(labelIn(token)),
    heldMs: tenths(heldMs),
    leaseLeftMs: tenths(leaseLeftMs),
    waiting,
    waiters: waiters.map(({ label, waitedMs }) => ({ label: label?.slice(0, MAX_LABEL_LENGTH), waitedMs: tenths(waitedMs) })),
    stranger: strangerOf(stranger),
  }
}

const strangerOf = (holder: Pick<Holder, 'host' | 'pid' | 'label'> | undefined): string | undefined =>
  holder === undefined ? undefined : [holder.label ?? 'another process', holder.pid === undefined ? '' : `(${holder.host ?? ''} ${String(holder.pid)})`].join(' ').trim()
