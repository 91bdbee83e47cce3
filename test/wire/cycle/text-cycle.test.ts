import { describe, expect, it } from 'vitest'
import { type Mutant } from '../../simulation/mutants.js'
import { bundled } from '../../simulation/plays.js'
import { rowsOf } from '../../support/matrix.js'
import type * as Answers from './answers.js'

const one = (name: string, find: string, replace: string): Mutant => ({ name, flaw: '', edits: [{ find, replace }] })

/** Every check of the short way, left out. */
const MUTANTS: readonly Mutant[] = [
  one('the lock was stored', `!standsAt(text, at, LOCKED)`, `text.length < lengthAt`),
  one('the key that is one', `!standsAt(text, lengthEnd, KEY)) return 0`, `text.length < keyAt) return 0`),
  one('the key of the lock', `!standsAt(text, keyAt, lockKey)`, `text.length < keyEnd`),
  one('the flags of the lock', `!standsAt(text, keyEnd, LOCK_VERSION)`, `text.length < versionAt`),
  one('the length of the token', `numberIn(bytes, lengthAt, lengthEnd) !== tokenEnd - tokenAt`, `lengthEnd < 0`),
  one('the name of the token', `!standsAt(text, tokenAt, tokenName)`, `text.length < nameEnd`),
  one('the rest of the token', `!standsAt(text, nameEnd, tokenRest)`, `text.length < tokenEnd`),
  one('the version of the lock', `if (lockVersion === undefined || !isVersion(lockVersion)) return 0`, `if (lockVersion === undefined) return 0`),
  one('the version of the record', `if (!isVersion(place.version)) return 0`, ``),
  one('the line end', `standsAt(text, at, LINE_END) ?`, `text.length >= at + LINE_END.length ?`),
  one('the whole line', `if (lineEnd < 0) return 0`, ``),
  one('all of the mark that is kept', `standsAt(text, at, kept.answer)`, `text.length > at + kept.answer.length`),
  one('the key of an item', `!standsAt(text, keyAt, key)) return undefined`, `text.length < keyEnd) return undefined`),
  one('the word before an item', `!standsAt(text, at, VA)`, `text.length < lengthAt`),
  one('the word before the key', `!standsAt(text, lengthEnd, KEY) ||`, `text.length < keyAt ||`),
  one('the word before the flags', `!standsAt(text, keyEnd, FLAGS)`, `text.length < flagsAt`),
  one('the word before the version', `!standsAt(text, flagsEnd, VERSION)`, `text.length < versionAt`),
  one('the flags of an item', `flags >= 0 && valueEnd`, `valueEnd`),
  one('what is said behind the version', ` ?? versionIn(arrived, versionAt, text.indexOf(' ', versionAt))`, ``),
  one('the key that a line says is not there', `line === NONE + KEY + key`, `line.startsWith(NONE)`),
  one('the end of a value', `if (bytes[valueEnd] !== CR || bytes[valueEnd + 1] !== LF) throw`, `if (bytes.length < valueEnd) throw`),
  one('digits of a number', `if (to - from > MOST_DIGITS || !areDigits(bytes, from, to)) return NaN`, ``),
  one('digits of a version', `return to - from > MOST_VERSION_DIGITS || !areDigits(bytes, from, to) ? undefined : text.slice(from, to)`, `return text.slice(from, to)`),
  one('the record was stored', `!standsAt(text, at, STORED)`, `text.length < deletedAt`),
  one('the lock was deleted', `!standsAt(text, deletedAt, deleted)`, `text.length < end`),
  one('the place where a part stands', `text.indexOf(part, at) === at`, `text.includes(part, at)`),
  one('the rest of the lines', `all.splice(this.#head, 1, ...lines)`, `all.splice(this.#head, 1)`),
]

const answersOf = bundled<typeof Answers>('cycle', new URL('./answers.ts', import.meta.url))

describe('the short way of reading what answers a cycle', () => {
  it('comes to what the general one does, whatever the answer is, and however it is cut', async () => {
    expect([...(await answersOf()).differences()].slice(0, 9)).toEqual([])
  })

  it.each(rowsOf(MUTANTS, 3).map((mutant) => [mutant.name, mutant] as const))('does not without asking for %s', async (_name, mutant) => {
    // The first one will do: all of them take as long as the test above, eighteen times.
    expect((await answersOf(mutant)).differences().next().value).toBeDefined()
  })
})
