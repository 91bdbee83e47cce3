import type { Command, Reply, Value } from '../wire.js'
import { copyIn, isSameCopy } from './copy.js'
import type { Member } from './member.js'
import type { LockPart, RecordPart } from './versions.js'

/** A node where the lock is ours, as far as its copy is known. */
export interface Target {
  readonly lock: LockPart
  readonly record: RecordPart | undefined
  /** Why the record cannot be put there. */
  readonly refusal?: Reply
}

export interface LookAgain {
  readonly route: string
  readonly token: Value
  readonly lockKey: string
  readonly recordKey: string | undefined
  readonly getMark: Command
}

/**
 * What is known of a node was read from a connection that was opened anew since, and may be that of another process: lock and copy
 * are read again. Undefined where it is not the same lock, or not the same copy. @throws FlightError
 */
export async function lookAgain({ route, token, lockKey, recordKey, getMark }: LookAgain, member: Member, { lock, record }: Target): Promise<Target | undefined> {
  const looks: Command[] = [{ op: 'get', key: lockKey }, getMark]
  if (recordKey !== undefined) looks.push({ op: 'get', key: recordKey })
  const [found, mark, read] = await member.flight(route, looks)
  const isOurs = found?.value !== undefined && found.value.toString() === token.toString()
  const isSameLife = mark !== undefined && member.markIn(mark)?.incarnation === lock.incarnation
  if (found?.cas === undefined || !isOurs || !isSameLife) return undefined
  const fresh: LockPart = { ...lock, cas: found.cas }
  if (record === undefined || read === undefined) return { lock: fresh, record }
  const copy = copyIn(read)
  const isSame = copy === undefined || record.copy === undefined ? copy === record.copy : isSameCopy(copy, record.copy)
  return isSame ? { lock: fresh, record: { cas: read.cas, copy } } : undefined
}
