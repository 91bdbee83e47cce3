import { describe, expect, it } from 'vitest'
import { CallLine } from '../../src/request/call-line.js'

/** The calls of one request on its session, and what is known of those that failed. */

const lineOf = (): CallLine<unknown> => new CallLine((thrown) => thrown)
const failing = (error: unknown) => () => Promise.reject(error as Error)
const done = (): Promise<void> => Promise.resolve()

describe('one after the other', () => {
  it('the first begins at once, the next when it is done, failed or not', async () => {
    const [line, seen] = [lineOf(), Array<string>()]
    let fail: (error: Error) => void = () => undefined
    const first = line.inTurn(() => {
      seen.push('first')
      return new Promise((_resolve, reject) => (fail = reject))
    })
    const second = line.inTurn(async () => seen.push('second'))
    expect([seen, line.isIdle]).toEqual([['first'], false])
    fail(new Error('no'))
    await expect(first).rejects.toThrow('no')
    await second
    expect([seen, line.isIdle]).toEqual([['first', 'second'], true])
  })

  it('settled() waits for what a call has called in its turn, and for callbacks that are due', async () => {
    const [line, seen] = [lineOf(), Array<string>()]
    void line.inTurn(done).then(() => {
      void line.inTurn(async () => seen.push('in its turn'))
    })
    line.untold++
    setImmediate(() => {
      seen.push('told')
      line.untold--
    })
    await line.settled()
    expect(seen).toEqual(['in its turn', 'told'])
  })
})

describe('what failed', () => {
  it('is made up for by a later change of the same session only', async () => {
    const line = lineOf()
    await expect(line.inTurn(failing('a failed'), 'a')).rejects.toBe('a failed')
    await line.inTurn(done, 'b')
    await line.inTurn(done)
    expect([line.failure, line.hasFailedBeside('b'), line.hasFailedBeside('a')]).toEqual(['a failed', true, false])
    await line.inTurn(done, 'a')
    expect(line.failure).toBeUndefined()
  })

  it('was told to the application, unless the response was about to leave by then', async () => {
    const line = lineOf()
    await expect(line.inTurn(failing('1'), 'a')).rejects.toBe('1')
    expect([line.isToldBy(500), line.isToldBy(200)]).toEqual([true, false])
    const late = line.inTurn(failing('2'), 'a')
    line.isAnswering = true
    await expect(late).rejects.toBe('2')
    expect(line.isToldBy(500)).toBe(false)
  })

  it('of what is not a change is nobody\'s but the caller\'s', async () => {
    const line = lineOf()
    await expect(line.inTurn(failing('a look'))).rejects.toBe('a look')
    expect(line.failure).toBeUndefined()
  })
})
