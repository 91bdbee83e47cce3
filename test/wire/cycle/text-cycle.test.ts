import { describe, expect, it } from 'vitest'
import { type Mutant } from '../../simulation/mutants.js'
import { bundled } from '../../simulation/plays.js'
import { rowsOf } from '../../support/matrix.js'
import type * as Answers from './answers.js'

const one = (name: string, find: string, replace: string): Mutant => ({ name, flaw: '', edits: [{ find, replace }] })

/** Every check of the short way, left out. */
const MUTANTS: readonly Mutant[] = [
  one('the lock was stored', `text.slice(at, keyAt) !== LOCKED`, `text.length < keyAt`),
  one('the key of the lock', `text.slice(keyAt, keyEnd) !== lockKey`, `text.length < keyEnd`),
  one('the flags of the lock', `text.slice(keyEnd, lengthAt) !== NO_FLAGS`, `text.length < lengthAt`),
  one('the length of the token', `numberIn(bytes, lengthAt, lengthEnd) !== tokenEnd - tokenAt`, `lengthEnd < 0`),
  one('the name of the token', `text.slice(tokenAt, nameEnd) !== tokenName`, `text.length < nameEnd`),
  one('the rest of the token', `text.slice(nameEnd, tokenEnd) !== tokenRest`, `text.length < tokenEnd`),
  one('the version of the lock', `if (lockVersion === undefined) return 0`, `if (lockVersion === undefined) return flight.asOf`),
  one('the line behind the token', `text.slice(valueEnd, recordAt + VALUE.length) !== LINE_END + VALUE`, `text.length < recordAt + VALUE.length`),
  one('the key of an item', `text.slice(keyAt, flagsAt - 1) !== key`, `text.length < flagsAt`),
  one('the space behind it', `bytes[flagsAt - 1] !== SPACE`, `bytes.length < flagsAt`),
  one('the flags of an item', `!(flags >= 0) ||`, `flags < 0 ||`),
  one('the version of an item', `|| version === undefined) return undefined`, `) return undefined`),
  one('the end', `arrived.text.slice(valueEnd, end) !== LINE_END + END`, `arrived.text.length < end`),
  one('the line before the mark', `text.slice(at, keyAt) !== LINE_END + VALUE`, `text.length < keyAt`),
  one('the line behind the mark', `text.slice(item.valueEnd, item.valueEnd + LINE_END.length) !== LINE_END`, `text.length < keyAt`),
  one('all of the mark that is kept', `text.slice(at, keptEnd) === kept.answer`, `text.length > keptEnd`),
  one('digits of a number', `if (to - from > MOST_DIGITS || !areDigits(bytes, from, to)) return NaN`, ``),
  one('digits of a version', `if (to - from > MOST_VERSION_DIGITS || !areDigits(bytes, from, to)) return undefined`, ``),
  one('the record was stored', `text.slice(at, deletedAt) !== STORED`, `text.length < deletedAt`),
  one('the lock was deleted', `text.slice(deletedAt, end) !== deleted`, `text.length < end`),
  one('the rest of the lines', `all.splice(this.#head, 1, ...lines)`, `all.splice(this.#head, 1)`),
]

const answersOf = bundled<typeof Answers>('cycle', new URL('./answers.ts', import.meta.url))

describe('the short way of reading what answers a cycle', () => {
  it('comes to what the general one does, whatever the answer is, and however it is cut', { timeout: 60_000 }, async () => {
    expect([...(await answersOf()).differences()].slice(0, 9)).toEqual([])
  })

  it.each(rowsOf(MUTANTS, 3).map((mutant) => [mutant.name, mutant] as const))('does not without asking for %s', { timeout: 60_000 }, async (_name, mutant) => {
    // The first one will do: all of them take as long as the test above, eighteen times.
    expect((await answersOf(mutant)).differences().next().value).toBeDefined()
  })
})
