import { channels, type CommitEvent } from '../../observe/channels.js'
import { failure, type ObservedEvent, type Verdict } from '../../observe/event-channel.js'
import { hashOf } from '../../system/session-hash.js'
import type { Change, Exit, Outcome } from './exchange.js'
import type { LockContext, LossReason } from './lock-context.js'
import { type LockToken, readToken } from './lock-token.js'

/**
 * The events that the lock protocol publishes on node:diagnostics_channel. Each caller asks `isObserved` first, so that
 * while nobody listens an event costs that question and nothing else.
 */

/** The lock that an event is about. */
interface ObservedLock {
  readonly id: string
  readonly token: LockToken
  readonly heldMs: number
}

const about = ({ name }: LockContext, id: string, label: string | undefined): ObservedEvent => ({
  manager: name,
  session: hashOf(id),
  label,
})

const labelOf = (token: LockToken): string | undefined => readToken(token).holder.label

export function traceAcquire<T>(context: LockContext, id: string, label: string | undefined, work: () => Promise<T>): Promise<T> {
  return channels.acquire.trace(about(context, id, label), context.clock, work)
}

/** A request that waits for a session. */
interface Waiting {
  readonly label: string | undefined
}

/**
 * The events of requests that wait. They are kept here, because a field of the waiter would cost every waiter memory.
 */
const waits = new WeakMap<Waiting, ObservedEvent>()

export function tellWait(context: LockContext, id: string, waiter: Waiting): void {
  if (waits.has(waiter)) return
  const event = about(context, id, waiter.label)
  waits.set(waiter, event)
  channels.wait.begin(event)
}

/** @param verdict why the wait ended without the session; undefined: the waiter got it. */
export function tellWaitOver(waiter: Waiting, waitedMs: number, verdict: Verdict | undefined): void {
  const event = waits.get(waiter)
  if (event === undefined) return
  waits.delete(waiter)
  channels.wait.end(event, waitedMs, verdict)
}

export function tellHandOff(context: LockContext, id: string, token: LockToken, waiting: number): void {
  channels.handOff.tell({ ...about(context, id, labelOf(token)), waiting })
}

export function tellLost(context: LockContext, { id, token, heldMs }: ObservedLock, reason: LossReason): void {
  channels.lost.tell({ ...about(context, id, labelOf(token)), reason, heldMs })
}

export function tellFenced(context: LockContext, id: string, token: LockToken, code: string): void {
  channels.fenced.tell({ ...about(context, id, labelOf(token)), code })
}

/** Whether somebody listens to what this transaction is: a renewal; or a commit, a release, or both. */
export const isObserved = (change: Change, exit: Exit): boolean =>
  isRenewal(change, exit) ? channels.renew.isObserved : channels.commit.isObserved || channels.release.isObserved

/** A renewal keeps the lock, and may prolong the record as well. */
const isRenewal = (change: Change, exit: Exit): boolean =>
  exit.kind === 'keep' && (change.kind === 'none' || change.kind === 'touch')

export function traceTransaction<O extends Pick<Outcome, 'error' | 'lock'>>(
  context: LockContext,
  { id, token, heldMs }: ObservedLock,
  change: Change,
  exit: Exit,
  work: () => Promise<O>,
): Promise<O> {
  const { clock } = context
  const event = about(context, id, labelOf(token))
  const keepsLock = exit.kind === 'keep'
  if (isRenewal(change, exit)) return channels.renew.trace({ ...event, heldMs }, clock, work, renewed)
  const commit = (): Promise<O> => {
    if (change.kind === 'none') return work()
    const committed: CommitEvent = { ...event, change: change.kind, keepsLock }
    return channels.commit.trace(committed, clock, work, judged)
  }
  if (keepsLock) return commit()
  const to = exit.kind === 'pass' ? 'waiter' : 'nobody'
  return channels.release.trace({ ...event, heldMs, to }, clock, commit, judged)
}

const judged = ({ error }: Pick<Outcome, 'error'>): Verdict => (error === undefined ? { outcome: 'ok' } : failure(error))
const renewed = ({ lock }: Pick<Outcome, 'lock'>): Verdict => ({ outcome: lock === 'done' ? 'ok' : lock })
