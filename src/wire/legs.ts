/**
 * A flight whose commands fall on several nodes: legs, each to one node in one round trip, and one after the other. At
 * once they would lose their order: a read could overtake the write before it.
 */
import { type Command, FlightError, type Receiver, type Reply } from './wire.js'

export interface Leg {
  readonly node: number
  readonly commands: readonly Command[]
}

/** The commands in their order; those that follow each other on one node are one leg. */
export function legsOf(commands: readonly Command[], nodeOf: (key: string) => number): readonly Leg[] {
  const legs: { readonly node: number; readonly commands: Command[] }[] = []
  for (const command of commands) {
    const node = nodeOf(command.key)
    const last = legs.at(-1)
    if (last?.node === node) last.commands.push(command)
    else legs.push({ node, commands: [command] })
  }
  return legs
}

/** Sends the legs, the next one when the one before it was answered, and tells `receiver` as of one flight; of none at once. */
export function sendLegs(legs: readonly Leg[], sendLeg: (leg: Leg, receiver: Receiver) => void, receiver: Receiver): void {
  const [only, second] = legs
  if (only === undefined) {
    queueMicrotask(() => receiver.landed([]))
    return
  }
  if (second === undefined) {
    sendLeg(only, receiver)
    return
  }
  const replies: Reply[] = []
  const sendFrom = (index: number): void => {
    const leg = legs[index]
    if (leg === undefined) {
      receiver.landed(replies)
      return
    }
    sendLeg(leg, {
      landed(more) {
        replies.push(...more)
        sendFrom(index + 1)
      },
      failed: (error) => receiver.failed(failureOf(error, legs.slice(0, index))),
    })
  }
  sendFrom(0)
}

/** What was carried out of the flight is not undone: the flight as a whole did not fail for certain. */
function failureOf(error: unknown, before: readonly Leg[]): unknown {
  const hasChanged = before.some(({ commands }) => commands.some(({ op }) => op !== 'get'))
  if (!hasChanged || !(error instanceof FlightError) || error.outcome === 'unknown') return error
  return new FlightError('unknown', `A part of it was carried out, and the rest was not sent: ${error.message}`, { cause: error })
}
