/** The soak's judge convicts what it should, and nothing else. */
import { describe, expect, it } from 'vitest'
import { type Judgement, type Restart, SessionHistory } from '../../soak/history.js'
import type { Verdict, What } from '../../soak/messages.js'

type Entry = readonly [op: string, verdict: Verdict, beginMs: number, endMs: number, what?: What]

function judged(entries: readonly Entry[], found: readonly string[], restarts: readonly Restart[] = []): Judgement {
  const history = new SessionHistory()
  for (const [op, verdict, beginMs, endMs, what = 'append'] of entries) {
    history.begin({ kind: 'begin', op, what, session: 's', atMs: beginMs })
    history.end({ kind: 'end', op, verdict, atMs: endMs })
  }
  return history.judge(found, restarts, (op) => op.startsWith('killed'))
}

const A: Entry = ['a', 'acknowledged', 0, 10]
const B: Entry = ['b', 'acknowledged', 20, 30]
const DESTROY: Entry = ['d', 'acknowledged', 12, 14, 'destroy']
const RESTART: Restart = { fromMs: 12, toMs: 14 }

describe('the judgement of a record', () => {
  it.each<[string, readonly Entry[], readonly string[], readonly Restart[]]>([
    ['everything in its place', [A, B], ['a', 'b'], []],
    ['changes that overlap, in either order', [['a', 'acknowledged', 0, 25], B], ['b', 'a'], []],
    ['an unknown change that is there', [A, ['u', 'unknown', 11, 12]], ['a', 'u'], []],
    ['an unknown change that is not', [A, ['u', 'unknown', 11, 12]], ['a'], []],
    ['what a restart took along', [A, B], ['b'], [RESTART]],
    ['what a destroy took along', [A, DESTROY, B], ['b'], []],
    ['what a destroy of unknown outcome took along', [A, B, ['d', 'unknown', 1, 2, 'destroy']], [], []],
    ['what went with a life that was cut short', [A, ['s', 'acknowledged', 12, 14, 'shorten'], B], ['b'], []],
    ['a life that was prolonged in time', [A, ['s', 'acknowledged', 12, 14, 'shorten'], B], ['a', 'b'], []],
    ['what went on under another id', [A, ['r', 'acknowledged', 12, 14, 'renew']], [], []],
    ['a change of a process that was killed before it told', [A], ['a', 'killed-1'], []],
  ])('accepts %s', (_name, entries, found, restarts) => {
    expect(judged(entries, found, restarts).violations).toEqual([])
  })

  it.each<[string, readonly Entry[], readonly string[], readonly Restart[], RegExp]>([
    ['a lost change', [A, B], ['b'], [], /a was acknowledged and is lost/],
    ['one that was lost after the restart', [A, B], [], [RESTART], /b was acknowledged and is lost/],
    ['one that was lost after the destroy', [A, DESTROY, B], [], [], /b was acknowledged and is lost/],
    ['one that a refused destroy is no excuse for', [A, ['d', 'refused', 1, 2, 'destroy']], [], [], /a .* is lost/],
    ['one that a refused touch with a short life is no excuse for', [A, ['s', 'refused', 12, 14, 'shorten']], [], [], /a .* is lost/],
    ['one that a refused renewal is no excuse for', [A, ['r', 'refused', 12, 14, 'renew']], [], [], /a .* is lost/],
    ['a change that is there twice', [A, B], ['a', 'b', 'a'], [], /twice/],
    ['the wrong order', [A, B], ['b', 'a'], [], /a comes after/],
    ['a refused change that is there', [A, ['r', 'refused', 1, 2]], ['a', 'r'], [], /r was refused/],
    ['a destroyed session that has come back', [A, DESTROY], ['a'], [], /a has come back through d/],
    ['an emptied server that has not forgotten', [A], ['a'], [RESTART], /a has come back through a restart/],
    ['a change that nobody announced', [A], ['a', 'x'], [], /x was never announced/],
  ])('convicts %s', (_name, entries, found, restarts, text) => {
    expect(judged(entries, found, restarts).violations.join('\n')).toMatch(text)
  })

  it('a session that goes on for another must have what that one acknowledged', () => {
    const history = new SessionHistory()
    history.inherit(['a', 'b'], 20)
    expect(history.judge(['a', 'b'], [], () => false)).toEqual({ violations: [], strict: 2, excused: 0 })
    expect(history.judge(['b'], [], () => false).violations).toEqual(['a was acknowledged and is lost'])
  })

  it('counts what nothing could have excused', () => {
    expect(judged([A, B], ['b'], [RESTART])).toMatchObject({ strict: 1, excused: 1 })
  })
})
