import type { Cas, Command, Receiver, Reply, Value } from './command.js'

/**
 * The two flights of a locked cycle, for one who meets nobody: plain values in place of commands and replies.
 *
 * A wire carries out what `startCommands` and `endCommands` say, and nothing else; what it spares is to build them.
 * Where every reply says plainly that all went well it tells so in one call. At anything else, whatever it is, it tells
 * the replies (`landed`) or the failure (`failed`), as of any flight: what that means is the lock protocol's to say.
 */

/** [add the lock, get the record] */
export interface CycleStart extends Receiver {
  readonly lockKey: string
  readonly recordKey: string
  /** The lock's value, which no other lock ever has. ASCII. */
  readonly token: string
  readonly leaseSec: number
  /** The lock is added, by the version `lockCas`. Then the record was read: undefined where there is none. */
  started(lockCas: Cas, record: FoundRecord | undefined): void
}

export interface FoundRecord {
  readonly bytes: Value
  readonly flags: number
  readonly cas: Cas
}

/** What a cycle began with, for its second flight: the wire has checked the keys, and has seen the versions. */
export interface CycleSeat {
  /** To be called once, after `started` has told of a record. */
  end(end: CycleEnd): void
}

/** [compare-and-set the record, compare-and-delete the lock], by the versions that the start has found. */
export interface CycleEnd extends Receiver {
  readonly value: Value
  readonly flags: number
  readonly ttlSec: number
  /** The record is stored in the place of the one that was found, and the lock deleted. */
  ended(): void
}

/** The versions that the second flight goes by. */
export interface CycleVersions {
  readonly lockCas: Cas
  readonly recordCas: Cas
}

export type CycleKeys = Pick<CycleStart, 'lockKey' | 'recordKey'>

export const startCommands = ({ lockKey, recordKey, token, leaseSec }: CycleStart): readonly Command[] => [
  { op: 'add', key: lockKey, value: token, ttlSec: leaseSec },
  { op: 'get', key: recordKey },
]

export const endCommands = (
  { lockKey, recordKey }: CycleKeys,
  { lockCas, recordCas }: CycleVersions,
  { value, flags, ttlSec }: CycleEnd,
): readonly Command[] => [
  { op: 'cas', key: recordKey, cas: recordCas, value, flags, ttlSec },
  { op: 'cad', key: lockKey, cas: lockCas },
]

/** Tells what came of `startCommands`, by the replies to them. */
export function tellStart(start: Pick<CycleStart, 'started' | 'landed'>, replies: Reply[]): void {
  const [added, found] = replies
  if (added?.status === 'ok' && added.cas !== undefined) {
    if (found?.status === 'missing') return start.started(added.cas, undefined)
    if (found?.status === 'ok' && found.cas !== undefined && found.value !== undefined) {
      return start.started(added.cas, { bytes: found.value, flags: found.flags, cas: found.cas })
    }
  }
  start.landed(replies)
}

/** Tells what came of `endCommands`, or of others that end a cycle, by the replies to them. */
export function tellEnd(end: Pick<CycleEnd, 'ended' | 'landed'>, replies: Reply[]): void {
  if (replies.every(({ status }) => status === 'ok')) end.ended()
  else end.landed(replies)
}

const OK: Reply = { status: 'ok', value: undefined, flags: 0, cas: undefined }
const MISSING: Reply = { status: 'missing', value: undefined, flags: 0, cas: undefined }

/** The replies that `started` stands for. */
export const startReplies = (lockCas: Cas, record: FoundRecord | undefined): Reply[] => [
  { status: 'ok', value: undefined, flags: 0, cas: lockCas },
  record === undefined ? MISSING : { status: 'ok', value: record.bytes, flags: record.flags, cas: record.cas },
]

/** The replies that `ended` stands for, to so many commands. */
export const endReplies = (count: number): Reply[] => new Array<Reply>(count).fill(OK)
