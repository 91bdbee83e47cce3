import { describe, expect, it } from 'vitest'
import { World } from '../support/world.js'

const LOCK = 'sess:sid-lck'
const LINE = 'sess:sid-line'

type Process = ReturnType<World['process']>

/** Three requests at a time that ask without end. */
async function askOn(world: World, { manager }: Process, holdMs: number, untilMs: number): Promise<void> {
  const ask = async (): Promise<void> => {
    while (world.clock.nowMs() < untilMs) {
      await manager.run('sid', () => world.pause(holdMs))
    }
  }
  await Promise.all([ask(), ask(), ask()])
}

const instanceOf = (token: string | undefined): string => {
  const { instance, token: name } = JSON.parse(token ?? '{}') as { instance?: string; token?: string }
  return instance ?? (name ?? '').replace(/\..*$/, '')
}

const inLine = async (world: World): Promise<string[]> => ((await world.get(LINE)) ?? '').split(' ').filter((one) => one !== '')

/** Who has the session after `present`. */
async function nextHolder(world: World, present: string, untilMs: number): Promise<string> {
  while (world.clock.nowMs() < untilMs) {
    const holder = instanceOf(await world.get(LOCK))
    if (holder !== '' && holder !== present) return holder
    await world.until(world.pause(1))
  }
  throw new Error('nobody else has had the session')
}

describe('the line of processes that wait for a session', () => {
  it('who has had its turn stands in line again when it has waited for as long as anybody', async () => {
    const world = new World()
    const served = [world.process(), world.process()].map((one) => askOn(world, one, 5, 3000))
    await world.until(world.pause(10))
    const first = instanceOf(await world.get(LOCK))
    const second = await nextHolder(world, first, 3000)
    await world.until(world.pause(400))
    expect(instanceOf(await world.get(LOCK))).toBe(second)
    expect(await inLine(world)).toEqual([first])
    await world.until(Promise.all(served))
  })

  it('a place in the line that another took in the same moment is asked for again at once', async () => {
    const world = new World()
    const holder = world.process().manager.store()
    await holder.read('sid')
    const { manager, wire } = world.process()
    const flight = wire.flight.bind(wire)
    let others = 0
    wire.flight = async (route, commands) => {
      const [first] = commands
      if (commands.length === 1 && first?.key === LINE && first.op !== 'get' && others < 3) {
        await world.server.flight('', [{ op: 'set', key: LINE, value: [...(await inLine(world)), `other${String(++others)}`].join(' '), ttlSec: 10 }])
      }
      return flight(route, commands)
    }
    const waiting = manager.run('sid', () => undefined)
    await world.until(world.pause(400))
    expect(await inLine(world)).toEqual(['other1', 'other2', 'other3', expect.any(String)])
    await holder.close()
    await world.until(waiting)
  })

  it('who is granted the session is not left in the line, whatever else changes there', async () => {
    const world = new World()
    const processes = [world.process(), world.process()]
    let isOther = false
    for (const { wire } of processes) {
      const flight = wire.flight.bind(wire)
      wire.flight = async (route, commands) => {
        const [first] = commands
        if (commands.length === 1 && first?.key === LINE && first.op === 'cas' && !isOther) {
          isOther = true
          await world.server.flight('', [{ op: 'set', key: LINE, value: [...(await inLine(world)), 'other'].join(' '), ttlSec: 10 }])
        }
        return flight(route, commands)
      }
    }
    const served = processes.map((one) => askOn(world, one, 5, 700))
    await world.until(world.pause(10))
    await nextHolder(world, instanceOf(await world.get(LOCK)), 3000)
    await world.until(world.pause(50))
    expect(await inLine(world)).toEqual(['other'])
    await world.until(Promise.all(served))
  })
})
