/** What becomes of the flights of a turn. */
import { type Command, FlightError, type Reply } from '../wire.js'
import { OUT_OF_MEMORY } from '../reply.js'
import { isStore, type Items } from './items.js'
import type { StoreClock } from './store-clock.js'

export type Commands = readonly Command[]
/** 'busy': nothing was done, because another process writes. */
export type Outcome = Reply[] | FlightError | 'busy'

/** The replies of a flight that changes nothing; undefined of one that has to write. */
export function answers(items: Items, commands: Commands, clock: StoreClock): Reply[] | undefined {
  const replies: Reply[] = []
  for (const command of commands) {
    const reply = items.read(command, clock)
    if (reply === undefined) return undefined
    replies.push(reply)
  }
  return replies
}

/** The replies of a flight where the disk is full: what would store is refused. Undefined of one that would change anything else. */
export function answersOfFull(items: Items, commands: Commands, clock: StoreClock): Reply[] | undefined {
  if (!commands.every((command) => isStore(command) || command.op === 'get')) return undefined
  return commands.map((command) => items.read(command, clock) ?? OUT_OF_MEMORY)
}

/** What was done may be lost, for a reason. Who has only read has changed nothing. */
export function lost(flights: readonly Commands[], outcomes: readonly Outcome[], why: string): Outcome[] {
  return outcomes.map((outcome, at) => {
    if (outcome === 'busy' || outcome instanceof FlightError) return outcome
    const hasWritten = flights[at]?.some(({ op }) => op !== 'get') === true
    return new FlightError(hasWritten ? 'unknown' : 'not-sent', why)
  })
}
