import type { Clock } from '../../system/clock.js'
import { EXISTS, MISSING, OK } from '../reply.js'
import { type Command, FlightError, type Quorum, type Receiver, type Reply } from '../wire.js'
import { contentOf } from './copy.js'
import { heardIn, type recordIn, type Statement } from './judge.js'
import { type Answer, Round, type Question } from './round.js'
import type { Member } from './member.js'
import type { ReplicaSet, Sorted } from './set.js'
import { AdviceVersion } from './versions.js'

export { EXISTS, MISSING, OK }

/** One flight of the lock protocol, as it was given to the wire. */
export interface Errand {
  readonly set: ReplicaSet
  readonly route: string
  readonly commands: readonly Command[]
  readonly sorted: Sorted
  readonly receiver: Receiver
}

/** Replies by what they answer. */
export interface Replies {
  readonly lock?: Reply | undefined
  readonly change?: Reply | undefined
  readonly record?: Reply | undefined
  readonly occupant?: Reply | undefined
  readonly advice?: Reply | undefined
}

/** The replies in the order of the commands. */
export function inOrder({ commands, sorted, set }: Errand, replies: Replies): Reply[] {
  return commands.map((command) => {
    if (command === sorted.lock) return replies.lock ?? MISSING
    if (command === sorted.change) return replies.change ?? MISSING
    if (command === sorted.advice) return replies.advice ?? MISSING
    return (set.kindOf(command.key) === 'record' ? replies.record : replies.occupant) ?? MISSING
  })
}

/** What came of the lock on most nodes, where too few have said that all went well. */
export function exitReply(op: 'cad' | 'cas', heard: readonly (readonly [number, { readonly exit: Reply }])[]): Reply {
  const isDone = heard.some(([, { exit }]) => exit.status === 'ok')
  if (op === 'cad' && isDone) return OK
  return isDone || heard.some(([, { exit }]) => exit.status === 'exists') ? EXISTS : MISSING
}

/** The reply to the `get` of a record. */
export const recordReply = (record: ReturnType<typeof recordIn>, clock: Pick<Clock, 'wallMs'>): Reply =>
  record === undefined
    ? MISSING
    : { status: 'ok', value: contentOf(record.newest, clock), flags: record.newest.flags, cas: record.versions }

export const adviceReply = (reply: Reply | undefined, node: number): Reply =>
  reply?.cas === undefined ? (reply ?? MISSING) : { ...reply, cas: new AdviceVersion(node, reply.cas) }

/** What the node that keeps the advice has said of it; undefined: it was not asked. */
export const adviceIn = (adviser: Member | undefined, heard: readonly (readonly [number, { readonly advice: Reply | undefined }])[]): Reply | undefined =>
  adviser && adviceReply(heard.find(([node]) => node === adviser.index)?.[1].advice, adviser.index)

/** Sends one question to a session's nodes. */
export function ask<Heard>(set: ReplicaSet, question: Question<Heard>, members: readonly Member[] = set.membersOf(question.route)): void {
  new Round(question, set.patience).ask(members)
}

/** Why too few nodes have answered, with what each of them said. */
export function tooFew(quorum: Quorum, answers: readonly Answer<object | Pick<Statement, 'mark'>>[], members: readonly Member[], isSure: boolean): FlightError {
  const failures = members.flatMap(({ index, name, place: { wire } }) => {
    const answer = answers[index]
    if (answer === undefined) return [`${name} did not answer`]
    if (answer instanceof FlightError) return [answer.message.replace(/\.$/, '')]
    if (!('mark' in answer)) return []
    return answer.mark === undefined ? [`${name} has not been used yet, or has been emptied`] : answer.mark.isWhole ? [] : [`${name} has been emptied, and ${wire.keys === undefined ? 'has not got its sessions back' : 'is to be repaired (npx latchkey repair)'}`]
  })
  const isUnknown = !isSure && members.some(({ index }) => answers[index] === undefined || isUnsure(answers[index]))
  const why = failures.length === 0 ? 'a node has been emptied, and has not been repaired since' : failures.join('; ')
  const causes = answers.filter((answer) => answer instanceof FlightError)
  return new FlightError(isUnknown ? 'unknown' : 'not-sent', `${needed(quorum, heardIn(answers).map(([, answer]) => answer))}: ${why}`, {
    cause: causes[0],
  })
}

/** What would have been enough, and was not there. */
function needed({ replicas, majority }: Quorum, heard: readonly (object | Pick<Statement, 'mark'>)[]): string {
  const marks = heard.flatMap((answer) => ('mark' in answer ? [answer.mark] : []))
  // Whoever founds a set of nodes asks all of them, or two would found two.
  if (marks.length > 0 && marks.every((mark) => mark === undefined)) return `all of the session's ${String(replicas)} nodes must answer when they are used for the first time`
  const knowing = marks.filter((mark) => mark?.isWhole === true).length
  const present = heard.filter((answer) => 'copy' in answer && answer.copy !== undefined).length
  if (knowing >= majority && present > 0 && present < majority) {
    return `of the nodes that answer ${String(present)} has it and others have not, and all ${String(replicas)} must say which is right`
  }
  return `of the session's ${String(replicas)} nodes ${String(majority)} must answer${knowing < marks.length ? ', and know it' : ''}`
}

export const isUnsure = (answer: Answer<object>): boolean => answer instanceof FlightError && answer.outcome === 'unknown'
