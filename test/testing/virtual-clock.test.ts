import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../../src/testing/virtual-clock.js'

/** A promise that takes a long way through the microtask queue. */
async function microtasks(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await Promise.resolve()
}

describe('VirtualClock', () => {
  it('stands still by itself, on both of its faces', async () => {
    const clock = new VirtualClock({ nowMs: 5, wallMs: 1000 })
    await microtasks(10)
    expect([clock.nowMs(), clock.wallMs()]).toEqual([5, 1000])
    await clock.advance(2.5)
    expect([clock.nowMs(), clock.wallMs()]).toEqual([7.5, 1002])
    expect(new VirtualClock().wallMs()).toBe(Date.parse('2026-01-01T00:00:00Z'))
  })

  it('runs what falls due by time, then by the order of setting, each at its own time', async () => {
    const clock = new VirtualClock()
    const ran: string[] = []
    const note = (name: string) => (): void => void ran.push(`${name} at ${clock.nowMs()}`)
    clock.setTimer(note('c'), 30)
    clock.setTimer(note('a'), 10)
    clock.setTimer(note('b'), 10)
    clock.setTimer(note('late'), 31)
    clock.setTimer(note('at once'), -5)
    await clock.advance(30)
    expect(ran).toEqual(['at once at 0', 'a at 10', 'b at 10', 'c at 30'])
    expect([clock.nowMs(), clock.pendingTimers]).toEqual([30, 1])
  })

  it('lets promises settle between timers, however long their chain', async () => {
    const clock = new VirtualClock()
    const order: string[] = []
    clock.setTimer(() => void microtasks(1000).then(() => order.push('promises of the first')), 10)
    clock.setTimer(() => order.push('second'), 10)
    await clock.advance(10)
    expect(order).toEqual(['promises of the first', 'second'])
  })

  it('runs timers that timers and promises set on the way', async () => {
    const clock = new VirtualClock()
    const ticks: number[] = []
    const tick = (): void => {
      ticks.push(clock.nowMs())
      void microtasks(5).then(() => clock.setTimer(tick, 10))
    }
    void microtasks(5).then(tick)
    await clock.advance(35)
    expect(ticks).toEqual([0, 10, 20, 30])
    expect(clock.nowMs()).toBe(35)
  })

  it('forgets a cancelled timer, one that cancels itself or another of the same moment included', async () => {
    const clock = new VirtualClock()
    const ran: string[] = []
    const first = clock.setTimer(() => {
      ran.push('first')
      first.cancel()
      second.cancel()
    }, 10)
    const second = clock.setTimer(() => ran.push('second'), 10)
    clock.setTimer(() => ran.push('third'), 10)
    await clock.advance(10)
    first.cancel()
    expect(ran).toEqual(['first', 'third'])
  })

  it('passes on what a timer throws, and can go on', async () => {
    const clock = new VirtualClock()
    clock.setTimer(() => {
      throw new Error('from a timer')
    }, 10)
    await expect(clock.advance(20)).rejects.toThrow('from a timer')
    expect(clock.nowMs()).toBe(10)
    await clock.advance(10)
    expect(clock.nowMs()).toBe(20)
    expect(() => clock.setTimer(() => undefined, Number.NaN)).toThrow(RangeError)
  })

  it('is moved by one at a time', async () => {
    const clock = new VirtualClock()
    const first = clock.advance(10)
    await expect(clock.advance(10)).rejects.toThrow(/being moved already/)
    await first
    expect(clock.nowMs()).toBe(10)
  })

  it('runUntil moves no further than the promise needs, and gives its value', async () => {
    const clock = new VirtualClock()
    const wait = (ms: number): Promise<void> => new Promise((resolve) => clock.setTimer(resolve, ms))
    const work = async (): Promise<string> => {
      await wait(100)
      await microtasks(100)
      await wait(50)
      return 'done'
    }
    clock.setTimer(() => undefined, 10_000)
    expect(await clock.runUntil(work())).toBe('done')
    expect(clock.nowMs()).toBe(150)
    expect(await clock.runUntil(Promise.resolve('at once'))).toBe('at once')
    expect(clock.nowMs()).toBe(150)
    await expect(clock.runUntil(Promise.reject(new Error('its own error')))).rejects.toThrow('its own error')
  })

  it('runUntil says why it gives up', async () => {
    const clock = new VirtualClock()
    const never = new Promise<never>(() => undefined)
    await expect(clock.runUntil(never)).rejects.toThrow('still pending after 0 ms of virtual time, and no timer')
    const tick = (): void => void clock.setTimer(tick, 400)
    tick()
    await expect(clock.runUntil(never, 1000)).rejects.toThrow(
      'still pending after 1000 ms of virtual time (the next timer is due at +1200 ms)',
    )
    expect(clock.nowMs()).toBe(800)
  })
})
