import { expect, it } from 'vitest'
import { SessionManager } from 'latchkey'
import { codeOf, World } from '../support/world.js'

const KEY = 'sess:<mutex>report'

it('runs one at a time, in the order in which they came, in two flights each', async () => {
  const { manager, wire } = new World().process()
  const order: string[] = []
  const job = (name: string): Promise<string> =>
    manager.mutex('report').run(async ({ isHeld }) => {
      expect(isHeld).toBe(true)
      order.push(`${name} begins`)
      await Promise.resolve()
      order.push(`${name} ends`)
      return name
    })
  expect(await job('alone')).toBe('alone')
  expect(wire.flights.length).toBe(2)
  expect(await Promise.all([job('a'), job('b')])).toEqual(['a', 'b'])
  expect(order).toEqual(['alone begins', 'alone ends', 'a begins', 'a ends', 'b begins', 'b ends'])
})

it('one name is one lock in all processes, and another name, or a session of that id, is another', async () => {
  const world = new World()
  const [one, other] = [world.process(), world.process()]
  const hold = await one.manager.mutex('report').lock({ label: 'cron' })
  expect(await other.manager.mutex('report').tryLock()).toBeUndefined()
  expect(await other.manager.mutex('report').holder()).toMatchObject({ label: 'cron', pid: process.pid })
  await (await other.manager.mutex('reports').lock()).release()
  const session = await other.manager.start('report')
  await session.abort()
  const waiting = other.manager.mutex('report').lock()
  await hold.release()
  await (await world.until(waiting)).release()
  expect(await one.manager.mutex('report').holder()).toBeUndefined()
})

it('fencing tokens grow from hold to hold, are one number for one hold, and cost one flight', async () => {
  const world = new World()
  const [one, other] = [world.process(), world.process()]
  const first = await one.manager.mutex('report').lock()
  const token = await first.fencingToken()
  one.wire.flights.length = 0
  expect(await Promise.all([first.fencingToken(), first.fencingToken()])).toEqual([token, token])
  expect(one.wire.flights).toEqual([])
  await first.release()
  const second = await other.manager.mutex('report').lock()
  expect(await second.fencingToken()).toBeGreaterThan(token)
  await second.release()
})

it('a token grows on by the clock when the server has lost the count, and in the middle of a hold', async () => {
  const world = new World()
  const { manager } = world.process()
  const tokens: number[] = []
  for (const evictsAt of ['never', 'before', 'within']) {
    if (evictsAt === 'before') await world.evict(KEY)
    const hold = await manager.mutex('report').lock()
    if (evictsAt === 'within') await world.evict(KEY)
    await world.until(world.pause(2))
    tokens.push(await hold.fencingToken())
    await hold.release()
  }
  expect(tokens).toEqual([...new Set(tokens)].sort((a, b) => a - b))
})

it('what somebody else has left in place of the count counts as nothing', async () => {
  const world = new World()
  await world.server.flight('', [{ op: 'set', key: KEY, value: 'rubbish', ttlSec: 60 }])
  const hold = await world.process().manager.mutex('report').lock()
  expect(await hold.fencingToken()).toBe(world.clock.wallMs())
})

it('a token whose answer is lost is found stored, and one that cannot be asked for is told as unknown and asked for again', async () => {
  const { manager, wire } = new World().process()
  const hold = await manager.mutex('report').lock()
  wire.failNext({ kind: 'lost-reply' }, 'add', '<mutex>report')
  const token = await hold.fencingToken()
  await hold.release()
  const next = await manager.mutex('report').lock()
  expect(await next.fencingToken()).toBeGreaterThan(token)
  await next.release()
})

it('a hold is renewed for as long as it lasts, far beyond maxHoldMs, and reported when it is slow', async () => {
  const world = new World()
  const { manager } = world.process({ leaseSec: 5, maxHoldMs: 1000, slowHoldMs: 2000 })
  const slow: unknown[] = []
  manager.on('slow', (event) => slow.push(event))
  const hold = await manager.mutex('report').lock({ label: 'cron' })
  await world.until(world.pause(600_000), 700_000)
  expect(hold.isHeld).toBe(true)
  expect(slow).toMatchObject([{ label: 'cron' }])
  expect(manager.locks()).toMatchObject([{ label: 'cron', heldMs: 600_000 }])
  await hold.release()
  expect(manager.locks()).toEqual([])
})

it('a lock that was taken away: the signal aborts, run() says so after the work, and the token is refused', async () => {
  const world = new World()
  const { manager } = world.process({ leaseSec: 3 })
  const { manager: thief } = world.process()
  let reason: unknown
  let token: unknown
  const run = manager.mutex('report').run(async (hold) => {
    hold.signal.addEventListener('abort', () => {
      reason = hold.signal.reason
    })
    await world.evict(`${KEY}-lck`)
    await thief.mutex('report').lock()
    await world.pause(5000)
    token = await codeOf(hold.fencingToken())
    expect(hold.isLost).toBe(true)
  })
  const told = await world.until(run.catch((error: unknown) => error), 20_000)
  expect(told).toMatchObject({ code: 'LATCHKEY_LOCK_LOST' })
  expect(told instanceof Error ? told.message : '').toContain('the lock "report" was lost'.replace('the', 'The'))
  expect(reason).toMatchObject({ code: 'LATCHKEY_LOCK_LOST' })
  expect(token).toBe('LATCHKEY_LOCK_LOST')
})

it('errors speak of the lock by its name, and of no session', async () => {
  const world = new World()
  const { manager, wire } = world.process({ waitMs: 100, maxWaiters: 1 })
  const hold = await manager.mutex('report').lock()
  const messages: string[] = []
  const note = async (work: Promise<unknown>): Promise<void> => {
    const error = await work.catch((thrown: unknown) => thrown)
    messages.push(error instanceof Error && 'code' in error ? `${String(error.code)} ${error.message}` : String(error))
  }
  const waiting = note(manager.mutex('report').lock())
  await note(manager.mutex('report').lock())
  await world.until(waiting)
  await hold.release()
  await note(hold.fencingToken())
  for (let times = 0; times < 2; times++) wire.failNext({ kind: 'not-sent' }, 'add')
  await note(manager.mutex('report').lock())
  wire.answerNext('add', 'outOfMemory')
  await note(manager.mutex('report').lock())
  await manager.close()
  await note(manager.mutex('report').lock())
  expect(messages.map((message) => message.split(' ')[0])).toEqual([
    'LATCHKEY_TOO_MANY_WAITERS',
    'LATCHKEY_LOCK_TIMEOUT',
    'LATCHKEY_MISUSE',
    'LATCHKEY_SERVER_UNAVAILABLE',
    'LATCHKEY_SERVER_REFUSED',
    'LATCHKEY_CLOSED',
  ])
  for (const message of messages) expect(message).toContain('the lock "report"')
  expect(messages.filter((message) => message.includes('session'))).toEqual([])
})

it('the same lock within run() is told at once; tryLock() there has it not', async () => {
  const { manager } = new World().process()
  await manager.mutex('report').run(async () => {
    expect(await codeOf(manager.mutex('report').lock())).toBe('LATCHKEY_MISUSE')
    expect(await manager.mutex('report').tryLock()).toBeUndefined()
    await manager.mutex('another').run(() => undefined)
  })
})

it('an error of the work goes on, and the lock is free after it; a signal ends a wait', async () => {
  const world = new World()
  const { manager } = world.process()
  await expect(manager.mutex('report').run(() => Promise.reject(new Error('no paper')))).rejects.toThrow('no paper')
  const hold = await manager.mutex('report').lock()
  const controller = new AbortController()
  const waiting = manager.mutex('report').lock({ signal: controller.signal })
  controller.abort(new Error('enough'))
  await expect(waiting).rejects.toThrow('enough')
  await hold.release()
  await hold.release()
  expect(manager.stats()).toMatchObject({ held: 0, waiting: 0 })
})

it('close() waits for holds, and frees what is left', async () => {
  const world = new World()
  const { manager } = world.process()
  const hold = await manager.mutex('report').lock()
  const closing = manager.close({ graceMs: 1000 })
  await world.until(closing)
  expect(hold.isHeld).toBe(false)
  expect(hold.signal.reason).toMatchObject({ code: 'LATCHKEY_CLOSED' })
  expect(await world.get(`${KEY}-lck`)).toBeUndefined()
})

it('locks though sessions are not locked, and beside sessions shared with PHP', async () => {
  for (const options of [{ locking: false }, { php: { extension: 'memcached' } }] as const) {
    const { manager } = new World().process(options)
    const hold = await manager.mutex('report').lock()
    expect(await manager.mutex('report').tryLock()).toBeUndefined()
    await hold.release()
  }
})

it.each(['', 'with space', 'x'.repeat(250), 'report-lck', 'ü'])('the name %j is refused', (name) => {
  expect(() => new SessionManager().mutex(name)).toThrow(expect.objectContaining({ code: 'LATCHKEY_INVALID_ID' }))
})

it('no session has the keys of a named lock, and none is listed', async () => {
  const { manager } = new World().process()
  expect(manager.flawOf('<mutex>report')).toContain('names a lock of its own')
  expect(await codeOf(manager.start('<mutex>report'))).toBe('LATCHKEY_INVALID_ID')
  const memory = new SessionManager()
  const hold = await memory.mutex('report').lock()
  await hold.fencingToken()
  expect(await memory.length()).toBe(0)
  expect(await memory.clear()).toBe(0)
  expect(hold.isHeld).toBe(true)
  await hold.release()
})
