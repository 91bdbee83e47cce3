import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Entry, SessionTable } from '../../src/lock/session-table.js'

class Queue implements Entry {
  constructor(readonly id: string) {}
}

describe('a table of sessions', () => {
  it('is a Map, whatever comes and goes', () => {
    const ending = fc.string({ minLength: 1, maxLength: 2 }).map((id) => `${id}-all`)
    const id = fc.oneof(fc.string({ minLength: 1, maxLength: 3 }), fc.uuid(), ending)
    const step = fc.record({ id, isLeaving: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 2000 }), (steps) => {
        const table = new SessionTable<Queue>()
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

  it('knows nothing of a stranger with the id of one that is there', () => {
    const table = new SessionTable<Queue>()
    table.add(new Queue('an-id'))
    expect(table.remove(new Queue('an-id'))).toBe(false)
    expect(table.size).toBe(1)
  })

  it('keeps nothing that was taken out alive', () => {
    // --expose-gc is off in tests: what is looked at is what the garbage collector would follow.
    const table = new SessionTable<Queue>()
    const queue = new Queue('an-id')
    const other = new Queue('another-that-ends-alike: an-id')
    table.add(queue)
    table.add(other)
    const [[, slot] = []] = [...(Reflect.get(table, 'slots') as Map<string, { entry: Queue | undefined }>)]
    expect(slot).toEqual({ entry: other })
    table.remove(other)
    table.remove(queue)
    expect(slot).toEqual({ entry: undefined })
    expect((Reflect.get(table, 'places') as (Queue | undefined)[]).filter((entry) => entry !== undefined)).toEqual([])
  })
})
