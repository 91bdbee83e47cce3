import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { codeOf, World } from '../support/world.js'

/** An AbortSignal at every stage of a session: what has been asked for ends, and nothing is left behind. */

interface Cart {
  items: number
}

let world: World
let one: ReturnType<World['process']>
let other: ReturnType<World['process']>

beforeEach(async () => {
  world = new World()
  one = world.process()
  other = world.process()
  await world.until(other.manager.run<Cart>('sid', ({ data }) => void (data.items = 1)))
})

/** Nobody holds or waits, and the next one need not wait. */
afterEach(async () => {
  expect(one.manager.stats()).toMatchObject({ held: 0, waiting: 0 })
  expect(await world.get('sess:sid-lck')).toBeUndefined()
  const next = await world.until(other.manager.start<Cart>('sid'), 0)
  await next.abort()
})

const reason = new Error('the job was cancelled')
const items = async (): Promise<unknown> => JSON.parse((await world.get('sess:sid')) ?? '{}')

/** What a promise rejects with, as soon as it does; the clock runs on meanwhile. */
const failureOf = (promise: Promise<unknown>): Promise<unknown> => world.until(codeOf(promise))

describe('an AbortSignal', () => {
  it('that has aborted before: nothing is sent', async () => {
    expect(await failureOf(one.manager.start('sid', { signal: AbortSignal.abort(reason) }))).toBe(reason)
    expect(one.wire.flights).toEqual([])
  })

  it('while the flight that asks for the lock is under way: the lock that it got is let go', async () => {
    const cancelling = new AbortController()
    one.wire.latencyMs = 10
    const starting = one.manager.start('sid', { signal: cancelling.signal })
    const failed = codeOf(starting)
    await world.until(world.pause(5))
    cancelling.abort(reason)
    expect(await world.until(failed)).toBe(reason)
    await world.until(world.pause(100))
  })

  it('while it waits for another process: it stops waiting, and asks no more', async () => {
    const holder = await world.until(other.manager.start<Cart>('sid'))
    const cancelling = new AbortController()
    const failed = codeOf(one.manager.start('sid', { signal: cancelling.signal }))
    await world.until(world.pause(100))
    expect(one.manager.stats().waiting).toBe(1)
    cancelling.abort(reason)
    expect(await world.until(failed, 10)).toBe(reason)
    await world.until(world.pause(100))
    const asked = one.wire.flights.length
    await world.until(world.pause(1000))
    expect(one.wire.flights.length).toBe(asked)
    await world.until(holder.release())
  })

  it('of one waiter in the middle of a queue: those before and behind it get their turn', async () => {
    const cancelling = new AbortController()
    const turns: string[] = []
    const waiting = ['first', 'second', 'third'].map((name) =>
      one.manager.run<Cart>('sid', async () => {
        turns.push(name)
        await world.pause(50)
      }, name === 'second' ? { signal: cancelling.signal } : {}),
    )
    const settled = Promise.allSettled(waiting)
    await world.until(world.pause(10))
    cancelling.abort(reason)
    expect((await world.until(settled)).map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(turns).toEqual(['first', 'third'])
  })

  it('while the work holds the session, which heeds it: nothing is stored', async () => {
    const cancelling = new AbortController()
    const { signal } = cancelling
    const running = one.manager.run<Cart>(
      'sid',
      async ({ data }) => {
        data.items = 2
        await world.pause(10)
        signal.throwIfAborted()
      },
      { signal },
    )
    const failed = codeOf(running)
    await world.until(world.pause(5))
    cancelling.abort(reason)
    expect(await world.until(failed)).toBe(reason)
    expect(await items()).toEqual({ items: 1 })
  })

  it('while the work holds the session, which does not heed it: what it did is stored', async () => {
    const cancelling = new AbortController()
    const running = one.manager.run<Cart>(
      'sid',
      async ({ data }) => {
        await world.pause(10)
        data.items = 2
      },
      { signal: cancelling.signal },
    )
    await world.until(world.pause(5))
    cancelling.abort(reason)
    await world.until(running)
    expect(await items()).toEqual({ items: 2 })
  })

  it('while the commit is under way: it is stored once, and acknowledged', async () => {
    const cancelling = new AbortController()
    const session = await world.until(one.manager.start<Cart>('sid', { signal: cancelling.signal }))
    session.data.items = 2
    one.wire.latencyMs = 10
    const sent = one.wire.flights.length
    const storing = session.release()
    await world.until(world.pause(5))
    cancelling.abort(reason)
    await world.until(storing)
    expect(one.wire.flights.length - sent).toBe(1)
    expect(await items()).toEqual({ items: 2 })
  })

  it('before `await using` got its session: the block does not run', async () => {
    let runs = 0
    const block = async (): Promise<void> => {
      await using session = await one.manager.start<Cart>('sid', { signal: AbortSignal.abort(reason) })
      session.data.items = ++runs
    }
    expect(await failureOf(block())).toBe(reason)
    expect(runs).toBe(0)
  })
})

describe('a lock that is lost while the work runs', () => {
  it("aborts the session's signal with the error, and the work that heeds it stores nothing", async () => {
    const seen: unknown[] = []
    const running = one.manager.run<Cart>('sid', async ({ data, signal }) => {
      data.items = 99
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
      seen.push(signal.reason)
      signal.throwIfAborted()
    })
    const failed = codeOf(running)
    await world.until(world.pause(5))
    await world.evict('sess:sid-lck')
    await world.until(other.manager.run<Cart>('sid', ({ data }) => void (data.items = 5)))
    expect(await world.until(failed)).toBe('LATCHKEY_LOCK_LOST')
    expect(seen).toMatchObject([{ code: 'LATCHKEY_LOCK_LOST' }])
    expect(await items()).toEqual({ items: 5 })
  })

  it('and work that does not heed it is refused at its commit', async () => {
    const running = one.manager.run<Cart>('sid', async ({ data }) => {
      data.items = 99
      await world.pause(100)
    })
    const failed = codeOf(running)
    await world.until(world.pause(5))
    await world.evict('sess:sid-lck')
    await world.until(other.manager.run<Cart>('sid', ({ data }) => void (data.items = 5)))
    expect(await world.until(failed)).toMatch(/LATCHKEY_(FENCED|LOCK_LOST)/)
    expect(await items()).toEqual({ items: 5 })
  })
})
