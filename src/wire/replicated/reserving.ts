/**
 * Makes a place for a record on nodes where none stands. A record is never added there: an `add` that is carried out late, on a node
 * that has lost the record meanwhile, would put a very old copy there, and this node would pass for one that has the session. An
 * empty place counts as "missing", and what is put into it names its version.
 *
 * A place is used only where the lock stood behind it. No version of a record tells there that the lock was lost: a copy that is
 * written long after its lease, on a node that nobody has used since, could count as newer than what was acknowledged meanwhile.
 */
import { areSameBytes, type Command, type Reply, type Value } from '../wire.js'
import { isPlace, PLACE } from './copy.js'
import { ask, EXISTS, MISSING } from './flight.js'
import { heardIn } from './judge.js'
import type { Member } from './member.js'
import type { Question } from './round.js'
import type { ReplicaSet } from './set.js'
import type { RecordPart } from './versions.js'

/** How long a place stays that nothing was put into, in seconds: longer than the write behind it takes. */
const PLACE_SEC = 60

/** What a node has for the record now: the place's version; or why the record cannot be put there. */
export type Reserved = { readonly record: RecordPart } | { readonly record: undefined; readonly refusal: Reply }

export interface Reservation {
  readonly set: ReplicaSet
  readonly route: string
  readonly key: string
  readonly lockKey: string
  /** The lock's value where it is ours. */
  readonly token: Value
  readonly members: readonly Member[]
  /** Whether places on these are enough, so that the rest is waited for a moment only. */
  readonly isEnough: (nodes: readonly number[]) => boolean
  readonly done: (reserved: ReadonlyMap<number, Reserved>) => void
}

export function reserve({ set, route, key, lockKey, token, members, isEnough, done }: Reservation): void {
  const commands: readonly Command[] = [{ op: 'add', key, value: PLACE, ttlSec: PLACE_SEC }, { op: 'get', key }, { op: 'get', key: lockKey }]
  const question: Question<Reserved> = {
    route,
    commandsFor: () => commands,
    hear: (_member, replies) => reservedIn(replies, token),
    stateOf: (answers) => (isEnough(heardIn(answers).map(([node]) => node)) ? 'enough' : 'open'),
    done: (answers) => {
      const heard = new Map(heardIn(answers))
      done(new Map(members.map(({ index }) => [index, heard.get(index) ?? NO_PLACE])))
    },
  }
  ask(set, question, members)
}

function reservedIn([added, found, lock]: readonly Reply[], token: Value): Reserved {
  if (lock?.value === undefined || !areSameBytes(lock.value, token)) return NO_PLACE
  if (found?.cas !== undefined && isPlace(found.value)) return { record: { cas: found.cas, copy: undefined } }
  // Another record was put there since it was looked for; or there is no room.
  if (found?.status === 'ok') return { record: undefined, refusal: EXISTS }
  const hasRoom = added === undefined || added.status === 'ok' || added.status === 'exists'
  return hasRoom ? NO_PLACE : { record: undefined, refusal: { ...added, cas: undefined } }
}

const NO_PLACE: Reserved = { record: undefined, refusal: MISSING }
