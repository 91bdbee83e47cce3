import { describe, expect, it } from 'vitest'
import { rowsOf } from '../support/matrix.js'
import { codeOf, World } from '../support/world.js'

const LOCK = 'sess:sid-lck'

interface Counter {
  n: number
}

describe('waiting for a session', () => {
  it('is first come first served inside a process, in one flight a request', async () => {
    const world = new World()
    const { manager, wire } = world.process()
    const order: number[] = []
    const requests = Array.from({ length: 50 }, (_, index) =>
      manager.run<Counter>('sid', async (session) => {
        order.push(index)
        await world.pause(5)
        session.data.n = (session.data.n ?? 0) + 1
      }),
    )
    await world.until(Promise.all(requests))
    expect(order).toEqual([...order].sort((a, b) => a - b))
    expect(await manager.peek('sid')).toEqual({ n: 50 })
    expect(manager.stats()).toMatchObject({ handOffs: 49, polls: 0, held: 0, waiting: 0 })
    // Acquire, 50 commits of which 49 hand on, and the peek; nothing but looks at the line beside it.
    expect(wire.flights.length).toBe(52)
  })

  it('keeps every change of two processes that work on one session', async () => {
    const world = new World()
    const managers = [world.process().manager, world.process().manager]
    const requests = Array.from({ length: 60 }, (_, index) =>
      managers[index % 2]?.run<Counter>('sid', async (session) => {
        await world.pause(10)
        session.data.n = (session.data.n ?? 0) + 1
      }),
    )
    await world.until(Promise.all(requests))
    expect(await managers[0]?.peek('sid')).toEqual({ n: 60 })
    expect(await world.get(LOCK)).toBeUndefined()
  })

  it('a wait that ran out names the holder', async () => {
    const world = new World()
    const holder = world.process().manager.store()
    await holder.read('sid', { label: 'POST /checkout' })
    const { manager } = world.process({ waitMs: 1000 })
    const store = manager.store()
    const error: unknown = await world.until(store.read('sid').catch((reason: unknown) => reason))
    expect(error).toMatchObject({
      code: 'LATCHKEY_LOCK_TIMEOUT',
      holder: { pid: process.pid, label: 'POST /checkout' },
      waitedMs: 1000,
    })
    expect(String(error)).toContain('POST /checkout')
    expect(String(error)).not.toContain('sid-lck')
    expect(manager.stats().waiting).toBe(0)
  })

  it('names a holder of its own process as well', async () => {
    const world = new World()
    const { manager } = world.process({ waitMs: 100 })
    const holder = manager.store()
    await holder.read('sid', { label: 'GET /self' })
    const nested = manager.store().read('sid')
    const error: unknown = await world.until(nested.catch((reason: unknown) => reason))
    expect(error).toMatchObject({ code: 'LATCHKEY_LOCK_TIMEOUT', holder: { label: 'GET /self' } })
  })

  it('waitMs 0 tries once', async () => {
    const world = new World()
    await world.process().manager.store().read('sid')
    const { manager, wire } = world.process({ waitMs: 0 })
    expect(await world.until(codeOf(manager.store().read('sid')))).toBe('LATCHKEY_LOCK_TIMEOUT')
    expect(wire.flights.length).toBe(1)
  })

  it('refuses the waiter after the last place', async () => {
    const world = new World()
    const { manager } = world.process({ maxWaiters: 2 })
    const holder = manager.store()
    await holder.read('sid')
    const waiting = [manager.store().read('sid'), manager.store().read('sid')]
    expect(await codeOf(manager.store().read('sid'))).toBe('LATCHKEY_TOO_MANY_WAITERS')
    void waiting.map((wait) => wait.catch(() => undefined))
    expect(manager.stats().waiting).toBe(2)
  })

  it('a signal stops the wait and leaves nothing behind', async () => {
    const world = new World()
    const holder = world.process().manager.store()
    await holder.read('sid')
    const { manager } = world.process()
    const controller = new AbortController()
    const waiting = manager.store().read('sid', { signal: controller.signal })
    await world.clock.advance(30)
    controller.abort(new Error('the browser left'))
    await expect(waiting).rejects.toThrow('the browser left')
    await holder.close()
    await world.clock.advance(20_000)
    expect(await world.get(LOCK)).toBeUndefined()
    expect(world.clock.pendingTimers).toBe(0)
  })

  it('a signal that fires while the add is in the air frees the lock that arrives', async () => {
    const world = new World()
    const { manager, wire } = world.process()
    wire.latencyMs = 10
    const controller = new AbortController()
    const waiting = manager.store().read('sid', { signal: controller.signal })
    await world.clock.advance(5)
    controller.abort(new Error('gone'))
    await expect(waiting).rejects.toThrow('gone')
    await world.clock.advance(100)
    expect(await world.get(LOCK)).toBeUndefined()
  })

  it('many may wait for one signal without a warning of Node, and it stops them all', async () => {
    const world = new World()
    const { manager } = world.process()
    const holder = manager.store()
    await holder.read('sid')
    const warnings: Error[] = []
    const warn = (warning: Error): void => void warnings.push(warning)
    process.on('warning', warn)
    const leaving = new AbortController()
    const others = Array.from({ length: 15 }, () => manager.store())
    const waits = Promise.allSettled(others.map((store) => store.read('sid', { signal: leaving.signal })))
    // Warnings come in a turn of their own.
    await new Promise((resolve) => setImmediate(resolve))
    leaving.abort(new Error('left'))
    const outcomes = await world.until(waits)
    process.off('warning', warn)
    expect(outcomes.map((outcome) => outcome.status === 'rejected' && String(outcome.reason))).toEqual(
      others.map(() => 'Error: left'),
    )
    expect(warnings).toEqual([])
    expect(manager.stats().waiting).toBe(0)
    await holder.write('sid', 'x')
  })

  it('one signal for many waits, of which some are over, stops those that are left', async () => {
    const world = new World()
    const { manager } = world.process()
    const holders = [manager.store(), manager.store()]
    await holders[0]?.read('one')
    await holders[1]?.read('two')
    const leaving = new AbortController()
    const first = manager.store()
    const served = first.read('one', { signal: leaving.signal })
    const stopped = manager.store().read('two', { signal: leaving.signal }).catch(String)
    await holders[0]?.write('one', 'x')
    expect(await world.until(served)).toBe('x')
    leaving.abort(new Error('left'))
    expect(await world.until(stopped)).toBe('Error: left')
    await first.write('one', 'y')
    expect(await manager.store().read('one', { signal: new AbortController().signal })).toBe('y')
  })

  it('an aborted waiter in the middle of the queue is passed over', async () => {
    const world = new World()
    const { manager } = world.process()
    const holder = manager.store()
    await holder.read('sid')
    const controller = new AbortController()
    const left = manager.store().read('sid', { signal: controller.signal })
    const stays = manager.store()
    const reading = stays.read('sid')
    controller.abort(new Error('left'))
    await expect(left).rejects.toThrow('left')
    await holder.write('sid', 'data')
    expect(await world.until(reading)).toBe('data')
  })

  it('a waiter that saw a session is told that it is gone; who comes later starts anew', async () => {
    const world = new World()
    const { manager } = world.process()
    const first = manager.store()
    await first.read('sid')
    await first.write('sid', 'logged in')
    const logout = manager.store()
    await logout.read('sid')
    const slow = manager.store().read('sid')
    await logout.destroy('sid')
    expect(await codeOf(slow)).toBe('LATCHKEY_SESSION_GONE')
    expect(await manager.store().read('sid')).toBe('')
  })

  it('so is a waiter of another process', async () => {
    const world = new World()
    const first = world.process().manager.store()
    await first.read('sid')
    await first.save('sid', 'logged in')
    const slow = world.process().manager.store().read('sid')
    await world.clock.advance(50)
    await first.destroy('sid')
    expect(await world.until(slow.catch((reason: unknown) => reason))).toMatchObject({ code: 'LATCHKEY_SESSION_GONE' })
  })

  it('a destroyed session is not resurrected by a request that read it before', async () => {
    const world = new World()
    const { manager } = world.process()
    await manager.run('sid', (session) => {
      session.data['user'] = 'ada'
    })
    const slow = await manager.start('sid')
    await world.process().manager.store().destroy('sid')
    slow.data['cart'] = 1
    expect(await codeOf(slow.release())).toBe('LATCHKEY_SESSION_GONE')
    expect(await manager.peek('sid')).toBeUndefined()
  })

  it('nor by one that had found nothing when it began', async () => {
    const world = new World()
    const slow = world.process().manager.store()
    await slow.read('sid')
    await world.evict(LOCK)
    const other = world.process().manager.store()
    await other.read('sid')
    await other.save('sid', 'new')
    await other.destroy('sid')
    expect(await codeOf(slow.write('sid', 'zombie'))).toBe('LATCHKEY_SESSION_GONE')
  })

  it('a server that does not answer settles every waiter at once', async () => {
    const world = new World()
    const { manager, wire } = world.process()
    const holder = world.process().manager.store()
    await holder.read('sid')
    const waiting = Array.from({ length: 20 }, () => codeOf(manager.store().read('sid')))
    await world.clock.advance(20)
    wire.failNext({ kind: 'not-sent' }, 'add')
    wire.failNext({ kind: 'not-sent' }, 'add')
    const codes = await world.until(Promise.all(waiting))
    expect(new Set(codes)).toEqual(new Set(['LATCHKEY_SERVER_UNAVAILABLE']))
  })

  it('a server that has no memory for the lock is an error at once, not a locked session', async () => {
    const world = new World()
    const { manager, wire } = world.process()
    wire.answerNext('add', 'outOfMemory')
    expect(await codeOf(manager.store().read('sid'))).toBe('LATCHKEY_SERVER_REFUSED')
    expect(world.clock.nowMs()).toBe(0)
  })

  it('a connection that died under the request is tried once more', async () => {
    const world = new World()
    const { manager, wire } = world.process()
    wire.failNext({ kind: 'not-sent' }, 'add')
    expect(await manager.store().read('sid')).toBe('')
  })

  it('after a hand-off whose record was refused the next one reads for itself', async () => {
    const world = new World()
    const { manager } = world.process()
    const first = manager.store()
    await first.read('sid')
    await first.save('sid', 'base')
    const second = manager.store()
    const reading = second.read('sid')
    await world.server.flight('', [{ op: 'set', key: 'sess:sid', value: Buffer.from('stranger'), ttlSec: 60 }])
    expect(await codeOf(first.write('sid', 'first'))).toBe('LATCHKEY_FENCED')
    expect(await world.until(reading)).toBe('stranger')
    await second.write('sid', 'second')
    expect(await world.get(LOCK)).toBeUndefined()
  })

  it('50 concurrent requests of 5 ms take the same work in sequence and a flight each, no more', async () => {
    const world = new World()
    const { manager, wire } = world.process()
    wire.latencyMs = 0.5
    const requests = Array.from({ length: 50 }, () => manager.run('sid', () => world.pause(5)))
    await world.until(Promise.all(requests))
    expect(wire.flights).toHaveLength(51)
    expect(world.clock.nowMs()).toBe(50 * 5 + 51 * 0.5)
  })
})

describe('polling another process', () => {
  it.each([1, 2, 3])('costs at most 60 polls in the first ten seconds of a hold and 4 a second from then on (%i)', async () => {
    const world = new World()
    await world.process().manager.store().read('sid')
    const { manager, wire } = world.process()
    const waiting = manager.store().read('sid')
    waiting.catch(() => undefined)
    await world.clock.advance(10_000)
    const polls = wire.flights.filter((flight) => flight[0]?.op === 'add').length
    expect(polls).toBeGreaterThan(20)
    expect(polls).toBeLessThanOrEqual(60)
    await world.clock.advance(9000)
    expect(wire.flights.length - polls).toBeLessThanOrEqual(9 * 4 + 10)
  })

  it('one poller serves a whole queue', async () => {
    const world = new World()
    const holder = world.process().manager.store()
    await holder.read('sid')
    const { manager, wire } = world.process()
    const waiting = Array.from({ length: 100 }, () => manager.run('sid', () => world.pause(1)))
    await world.clock.advance(1000)
    const alone = wire.flights.length
    expect(alone).toBeLessThan(50)
    await holder.close()
    await world.until(Promise.all(waiting))
    expect(manager.stats().handOffs).toBe(99)
  })

  it.each(rowsOf([50, 5, 300]))('four processes with endless local waiters are each served every five seconds (%i ms holds)', async (holdMs) => {
    const world = new World()
    let stop = false
    const served: number[][] = []
    const loops = Array.from({ length: 4 }, () => {
      const { manager, wire } = world.process()
      wire.latencyMs = 0.2
      const times: number[] = []
      served.push(times)
      return Array.from({ length: 3 }, async () => {
        while (!stop) {
          await manager.run('sid', async () => {
            times.push(world.clock.nowMs())
            await world.pause(holdMs)
          })
        }
      })
    }).flat()
    await world.clock.advance(30_000)
    stop = true
    await world.until(Promise.all(loops))
    for (const times of served) {
      const gaps = times.map((time, index) => time - (times[index - 1] ?? 0))
      expect(Math.max(...gaps)).toBeLessThanOrEqual(5000)
      expect(times.length).toBeGreaterThan(5)
    }
  })
})

describe('closing a manager', () => {
  it('refuses new work, settles waiters, lets holders commit', async () => {
    const world = new World()
    const { manager } = world.process()
    const holder = manager.store()
    await holder.read('sid')
    const waiting = codeOf(manager.store().read('sid'))
    const closing = manager.close({ graceMs: 1000 })
    expect(await waiting).toBe('LATCHKEY_CLOSED')
    expect(await codeOf(manager.store().read('other'))).toBe('LATCHKEY_CLOSED')
    await holder.write('sid', 'in time')
    await world.until(closing)
    expect(world.clock.nowMs()).toBe(0)
    expect(await world.get('sess:sid')).toBe('in time')
    expect(await world.get(LOCK)).toBeUndefined()
  })

  it('frees what is still held after the grace time', async () => {
    const world = new World()
    const { manager } = world.process()
    const holder = manager.store()
    await holder.read('sid')
    await world.until(manager.close({ graceMs: 1000 }))
    expect(world.clock.nowMs()).toBe(1000)
    expect(await world.get(LOCK)).toBeUndefined()
    expect(await codeOf(holder.write('sid', 'late'))).toBe('LATCHKEY_CLOSED')
    expect(world.clock.pendingTimers).toBe(0)
  })
})
