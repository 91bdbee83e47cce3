import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Entry, SessionTable } from '../../src/lock/session-table.js'

class Queue implements Entry<Queue> {
  nextInSlot: Queue | undefined
  constructor(readonly id: string) {}
}

describe('a table of sessions', () => {
  it('is a Map, whatever comes and goes', () => {
    const id = fc.oneof(fc.string({ minLength: 1, maxLength: 3 }), fc.uuid())
    const step = fc.record({ id, isLeaving: fc.boolean() })
    fc.assert(
      fc.property(fc.integer(), fc.array(step, { maxLength: 2000 }), (seed, steps) => {
        const table = new SessionTable<Queue>(seed)
        const model = new Map<string, Queue>()
        for (const { id, isLeaving } of steps) {
          const known = model.get(id)
          expect(table.get(id)).toBe(known)
          if (known !== undefined && isLeaving) {
            expect(table.remove(known)).toBe(model.delete(id))
          } else if (known === undefined) {
            const queue = new Queue(id)
            table.add(queue)
            model.set(id, queue)
          }
          expect(table.size).toBe(model.size)
        }
        expect(new Set(table.all())).toEqual(new Set(model.values()))
      }),
      { numRuns: 40 },
    )
  })

  it('holds many more than it began with', () => {
    const table = new SessionTable<Queue>(1)
    const queues = Array.from({ length: 5000 }, (_, at) => new Queue(`id-${String(at)}`))
    for (const queue of queues) table.add(queue)
    expect(queues.every((queue) => table.get(queue.id) === queue)).toBe(true)
    expect(queues.every((queue) => table.remove(queue))).toBe(true)
    expect(table.all()).toEqual([])
  })

  it('knows nothing of a stranger with the id of one that is there', () => {
    const table = new SessionTable<Queue>(1)
    table.add(new Queue('an-id'))
    expect(table.remove(new Queue('an-id'))).toBe(false)
    expect(table.size).toBe(1)
  })

  it('leaves nothing linked to what was taken out: that would keep garbage alive', () => {
    const table = new SessionTable<Queue>(7)
    const queues = Array.from({ length: 2000 }, (_, at) => new Queue(`id-${String(at)}`))
    for (const queue of queues) table.add(queue)
    for (const queue of queues) table.remove(queue)
    expect(queues.every((queue) => queue.nextInSlot === undefined)).toBe(true)
  })
})
