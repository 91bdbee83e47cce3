/** What becomes of a flight that the server has answered with an error. */
import { type Command, FlightError, type Reply } from '../wire.js'

/** What is repeated of an error, in characters. */
const LONGEST_ANSWER = 100

/** Redis repeats what it was asked where it does not know the command: the id of a session may be in it. */
const REPEATED = /,? ?with args beginning with:.*$/is

/** What a server has said as it may stand in a message: short, without signs that a terminal would obey, and without what it was asked. */
export const shown = (answer: string): string => answer.slice(0, LONGEST_ANSWER).replace(REPEATED, '').replace(/[^\x20-\x7e]/g, '?')

/** The server says for certain that it has carried nothing out. @param cause what a library made of it */
export function refused(text: string, cause?: unknown): FlightError {
  const answer = shown(text)
  return new FlightError('not-sent', `The server refused it, and nothing was carried out: ${answer}`, { answer, cause })
}

/** The error leaves open what was carried out. @param cause what a library made of it */
export function unclear(text: string, cause?: unknown): FlightError {
  const answer = shown(text)
  return new FlightError('unknown', `The server answered with an error: ${answer}`, { answer, cause })
}

/** Some commands were carried out, and are not undone. */
export function partlyRefused(text: string): FlightError {
  const answer = shown(text)
  return new FlightError('unknown', `A part of it was carried out, and the server refused the rest: ${answer}`, { answer })
}

/** Whether one of the commands was carried out that changes something. @param replies by the commands' places, as far as there are any */
export const hasChanged = (commands: readonly Command[], replies: readonly (Reply | undefined)[]): boolean =>
  commands.some(({ op }, index) => op !== 'get' && replies[index]?.status === 'ok')
