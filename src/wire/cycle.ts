import type { Cas, Command, Receiver, Reply, Value } from './command.js'
import { MISSING, OK } from './reply.js'

/**
 * The two flights of a locked cycle whose request meets nobody, with plain values instead of commands and replies.
 *
 * A wire carries out exactly the commands that `startCommands` and `endCommands` make; it only saves building them.
 * When every reply says that all went well, the wire says so in one call. In every other case it passes on the replies
 * (`landed`) or the failure (`failed`), as for any flight, and the lock protocol decides what they mean.
 */

/** The first flight: [add the lock, get the mark where there is one, get the record]. */
export interface CycleStart extends Receiver {
  readonly lockKey: string
  readonly recordKey: string
  /** The lock's value, which no other lock ever has, in two parts: the second is mostly the same from lock to lock. ASCII. */
  readonly tokenName: string
  readonly tokenRest: string
  readonly leaseSec: number
  /** An item that is read between the two, if that is asked for; it must be there. */
  readonly markKey?: string | undefined
  /** Called when the lock was added and the record was read. */
  started(found: CycleFound): void
}

/** What the first flight has found. */
export interface CycleFound {
  /** The version of the lock that was added. */
  readonly lockCas: Cas
  /** The record; undefined: there is none. */
  readonly value: Value | undefined
  readonly flags: number
  readonly recordCas: Cas | undefined
  /** What stands under `markKey`. */
  readonly mark?: Value | undefined
}

/**
 * Keeps what the first flight of a cycle has found, for the second: checked keys, and the versions of lock and record.
 */
export interface CycleSeat {
  /** Sends the second flight. Call this once, after `started` has told of a record. */
  end(end: CycleEnd): void
}

/**
 * The second flight: [compare-and-set the record, compare-and-delete the
 * lock], by the versions that the first has found.
 */
export interface CycleEnd extends Receiver {
  readonly value: Value
  readonly flags: number
  readonly ttlSec: number
  /** Called when the record was stored in the place of the one that was found, and the lock was deleted. */
  ended(): void
}

/** The versions that the second flight names. */
export interface CycleVersions {
  readonly lockCas: Cas
  readonly recordCas: Cas
}

export type CycleKeys = Pick<CycleStart, 'lockKey' | 'recordKey'>

export function startCommands({ lockKey, recordKey, markKey, tokenName, tokenRest, leaseSec }: CycleStart): readonly Command[] {
  const add: Command = { op: 'add', key: lockKey, value: tokenName + tokenRest, ttlSec: leaseSec }
  const read: Command = { op: 'get', key: recordKey }
  return markKey === undefined ? [add, read] : [add, { op: 'get', key: markKey }, read]
}

export const endCommands = (
  { lockKey, recordKey }: CycleKeys,
  { lockCas, recordCas }: CycleVersions,
  { value, flags, ttlSec }: CycleEnd,
): readonly Command[] => [
  { op: 'cas', key: recordKey, cas: recordCas, value, flags, ttlSec },
  { op: 'cad', key: lockKey, cas: lockCas },
]

/** Tells `start` how its flight ended, from the replies to `startCommands`. */
export function tellStart(start: Pick<CycleStart, 'markKey' | 'started' | 'landed'>, replies: Reply[]): void {
  const [added] = replies
  const found = replies.at(-1)
  const mark = start.markKey === undefined ? undefined : replies[1]?.value
  if (start.markKey !== undefined && mark === undefined) return start.landed(replies)
  if (added?.status === 'ok' && added.cas !== undefined) {
    const lockCas = added.cas
    if (found?.status === 'missing') return start.started({ lockCas, value: undefined, flags: 0, recordCas: undefined, mark })
    if (found?.status === 'ok' && found.cas !== undefined && found.value !== undefined) {
      return start.started({ lockCas, value: found.value, flags: found.flags, recordCas: found.cas, mark })
    }
  }
  start.landed(replies)
}

/** Of the first flight by ordinary commands; `started` is told in place of the start's own. */
export const startReceiver = (start: CycleStart, started: CycleStart['started']): Receiver => ({
  landed: (replies) => tellStart({ markKey: start.markKey, started, landed: (all) => start.landed(all) }, replies),
  failed: (error) => start.failed(error),
})

/** Of the second. */
export const endReceiver = (end: CycleEnd): Receiver => ({ landed: (replies) => tellEnd(end, replies), failed: (error) => end.failed(error) })

/** Tells `end` how its flight ended, from the replies to `endCommands` or to other commands that end a cycle. */
export function tellEnd(end: Pick<CycleEnd, 'ended' | 'landed'>, replies: Reply[]): void {
  if (replies.every(({ status }) => status === 'ok')) end.ended()
  else end.landed(replies)
}

/** A cycle by ordinary flights: of a wire that cannot do better, or whose two keys are on two nodes. */
export function cycleByFlights(send: (commands: readonly Command[], receiver: Receiver) => void, start: CycleStart): CycleSeat {
  let versions: CycleVersions | undefined
  const started = (found: CycleFound): void => {
    const { lockCas, recordCas } = found
    versions = recordCas === undefined ? undefined : { lockCas, recordCas }
    start.started(found)
  }
  send(startCommands(start), startReceiver(start, started))
  return {
    end(end) {
      if (versions === undefined) throw new TypeError('a cycle that found no record has nothing to end with')
      send(endCommands(start, versions, end), endReceiver(end))
    },
  }
}

/** The replies for which `started` stands. */
export function startReplies({ lockCas, value, flags, recordCas, mark }: CycleFound): Reply[] {
  const added: Reply = { status: 'ok', value: undefined, flags: 0, cas: lockCas }
  const read: Reply = value === undefined ? MISSING : { status: 'ok', value, flags, cas: recordCas }
  return mark === undefined ? [added, read] : [added, { status: 'ok', value: mark, flags: 0, cas: undefined }, read]
}

/** The replies to `count` commands for which `ended` stands. */
export const endReplies = (count: number): Reply[] => new Array<Reply>(count).fill(OK)
