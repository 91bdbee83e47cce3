/**
 * What the answers of several nodes mean together. Pure: no time, no sending.
 *
 * Two majorities of a session's nodes always have one in common. All that is decided here rests on that.
 */
import { areSameBytes, type Cas, FlightError, type Quorum, type Reply, UnsupportedStoreError, type Value } from '../wire.js'
import { type Copy, type Count, newestOf } from './copy.js'
import { isOurs, type ReadMark } from './member.js'
import type { Answer } from './round.js'
import type { Council } from './council.js'
import type { Lists } from './lists.js'
import { type LockPart, LockVersions, type RecordPart, RecordVersions } from './versions.js'

export const quorumOf = (replicas: number): Quorum => ({ replicas, majority: Math.floor(replicas / 2) + 1 })

/** What a node says of a session. */
export interface Statement {
  /** Undefined: the node has been emptied, and nobody has noted that yet. */
  readonly mark: ReadMark | undefined
  /** Undefined: nothing stands there. */
  readonly copy: Copy | undefined
  readonly recordCas: Cas | undefined
}

/** The lock that stands on most nodes, by the votes of those that have refused theirs. */
export const occupied = (votes: readonly (readonly [number, Ballot])[], council: Council): ReturnType<typeof mostCommon> =>
  mostCommon(votes.flatMap(([node, { occupant, mark }]) => standingOn(node, occupant, mark)), council)

/** Nodes, and the list that they should be on. */
interface Listed {
  readonly members: readonly { readonly name: string }[]
  readonly lists: Lists
  /** Whether it is on the new list alone: what it says counts from when the change has begun. */
  isJoining(node: number): boolean
}

/** What a node answers to who wants the lock there. */
export interface Ballot extends Statement {
  /** The reply to the command that takes the lock. */
  readonly lock: Reply
  /** The lock that stands there, where that was asked. */
  readonly occupant: Reply | undefined
}

/** The answers of nodes, with their places. */
export function heardIn<Heard extends object>(answers: readonly Answer<Heard>[]): [number, Heard][] {
  const heard: [number, Heard][] = []
  answers.forEach((answer, node) => {
    if (answer !== undefined && !(answer instanceof FlightError)) heard.push([node, answer])
  })
  return heard
}

export const nodesOf = (heard: readonly (readonly [number, object])[]): readonly number[] => heard.map(([node]) => node)

/** Why nothing may be decided here: one of these nodes is on another list. Undefined: none is. */
export function strangerAmong(statements: readonly (readonly [number, Statement])[], set: Listed): FlightError | undefined {
  for (const [node, { mark }] of statements) {
    if (mark?.stage === 'foreign' && !set.isJoining(node)) return set.lists.refusal(set.members[node]?.name ?? '', mark.listed)
  }
  return undefined
}

/** A server that is named twice would keep two copies of three, and nobody would see that it is one: it refuses the second time what it has granted. */
export function twinsAmong(votes: readonly (readonly [number, Ballot])[], { members }: Pick<Listed, 'members'>): FlightError | undefined {
  for (const [node, { lock, mark }] of votes) {
    if (lock.status !== 'exists' || mark === undefined) continue
    const twin = votes.find(([, other]) => other.lock.status === 'ok' && other.mark?.incarnation === mark.incarnation)
    if (twin !== undefined) return twins(members[twin[0]]?.name ?? '', members[node]?.name ?? '')
  }
  return undefined
}

/** Why nobody is served: two names lead to one server. */
export function twins(one: string, other: string): FlightError {
  const message = `${one} and ${other} are one server, which would keep two copies of each session: name each server once`
  return new FlightError('not-sent', message, { cause: new UnsupportedStoreError(message) })
}

/** A grant counts with the node's incarnation: without it nobody could say later when it was given. */
export const isGranted = ({ lock, mark }: Ballot): boolean => lock.status === 'ok' && lock.cas !== undefined && isOurs(mark)

/** A node that was emptied, and that nobody has put on the list since, grants nothing; but it has said that it has no copy. */
export const isHeard = (ballot: Ballot): boolean => isGranted(ballot) || (isUnlisted(ballot.mark) && ballot.copy === undefined)

const isUnlisted = (mark: ReadMark | undefined): boolean => mark === undefined || mark.stage === 'unsaid'

/** Who took longer than half a lease to take it may have lost a part of it again. */
export const isInTime = (tookMs: number, leaseSec: number): boolean => tookMs < leaseSec * 500

/**
 * Whether the newest of these is the newest of all that was acknowledged. A majority must have the record; or must never
 * have had it, which an emptied node cannot say. What is missing on one node never outvotes what is there on another: it
 * may have been evicted. Only where every node has spoken there is nothing more to be learned.
 */
export function isComplete(heard: readonly (readonly [number, Statement])[], { replicas, majority }: Quorum, council: Council): boolean {
  const statements = heard.flatMap(([node, statement]) => (council.knows(node) ? [statement] : []))
  if (statements.length >= replicas) return true
  const present = statements.filter(({ copy }) => copy !== undefined).length
  if (present > 0) return present >= majority
  return statements.filter(({ mark }) => isOurs(mark) && mark.isWhole).length >= majority
}

const NOTHING_YET: Count = { count: 0, ordinal: 0, longestSec: 0, endsAtSec: 0 }

/** What stands on these nodes, as one record: undefined where nothing does. */
export function recordIn(statements: readonly (readonly [number, Statement])[]): { readonly newest: Copy; readonly versions: RecordVersions } | undefined {
  const copies = statements.flatMap(([, { copy }]) => copy ?? [])
  const newest = newestOf(copies)
  if (newest === undefined) return undefined
  const parts = new Map<number, RecordPart>()
  for (const [node, { copy, recordCas: cas }] of statements) parts.set(node, { cas, copy })
  // More than all that was seen: where locks do not decide, what is written next must count as later.
  const count = Math.max(...copies.map(({ head }) => head.count))
  const longestSec = Math.max(...copies.map(({ head }) => head.longestSec))
  return { newest, versions: new RecordVersions(parts, { count, ordinal: newest.head.ordinal, longestSec, endsAtSec: newest.head.endsAtSec }) }
}

export const headOf = (record: RecordVersions | undefined): Count => record?.newest ?? NOTHING_YET

/** The grants among the answers, as one lock. */
export function lockIn(ballots: readonly (readonly [number, Ballot])[], token: Value, council: Council): LockVersions {
  const parts = new Map<number, LockPart>()
  for (const [node, { lock, mark }] of ballots) {
    if (lock.cas !== undefined && mark !== undefined) parts.set(node, { cas: lock.cas, incarnation: mark.incarnation })
  }
  return new LockVersions(parts, token, council)
}

/** A lock that stands on one node. */
interface Standing {
  readonly value: Value
  readonly cas: Cas
  readonly mark: ReadMark | undefined
}

/** The lock that the reply tells of, if it does. */
export const standingOn = (node: number, reply: Reply | undefined, mark: ReadMark | undefined): [number, Standing][] =>
  reply?.value === undefined || reply.cas === undefined ? [] : [[node, { value: reply.value, cas: reply.cas, mark }]]

/** The lock that stands on most nodes; undefined: none does. */
export function mostCommon(standing: readonly (readonly [number, Standing])[], council: Council): { readonly value: Value; readonly versions: LockVersions } | undefined {
  let most: (readonly [number, Standing])[] = []
  for (const [, { value }] of standing) {
    const same = standing.filter(([, other]) => areSameBytes(other.value, value))
    if (same.length > most.length) most = same
  }
  const [first] = most
  if (first === undefined) return undefined
  const parts = new Map<number, LockPart>()
  for (const [node, { cas, mark }] of most) if (mark !== undefined) parts.set(node, { cas, incarnation: mark.incarnation })
  const { value } = first[1]
  return { value, versions: new LockVersions(parts, value, council) }
}

/** What a node answers to who writes and lets go, or keeps the lock. */
export interface Receipt {
  /** Undefined: nothing was to be written. */
  readonly change: Reply | undefined
  readonly exit: Reply
}

export const isWritten = ({ change }: Receipt): boolean => change === undefined || change.status === 'ok'

/**
 * The proof, without any clock, that the lock was ours when the node wrote: it stood there behind the write. Only such nodes
 * count for a write to be acknowledged.
 */
export const isReceipt = (receipt: Receipt): boolean => isWritten(receipt) && receipt.exit.status === 'ok'
