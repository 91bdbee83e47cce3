import { afterAll, beforeAll, describe } from 'vitest'
import { closingCases } from './conformance/closing.js'
import { commandCases } from './conformance/commands.js'
import { concurrencyCases } from './conformance/concurrency.js'
import { flightCases } from './conformance/flights.js'
import { refusalCases } from './conformance/refusals.js'
import type { MakeSubject, Subject } from './conformance/subject.js'
import { ttlCases } from './conformance/ttl.js'
import { valueCases } from './conformance/values.js'

export type { MakeSubject, Subject, SubjectOptions } from './conformance/subject.js'

/** What every wire does, whatever is behind it. A wire's own test is a call of this and its `make`. */
export function wireConformance(name: string, make: MakeSubject): void {
  describe.concurrent(`wire conformance: ${name}`, () => {
    let shared: Subject | undefined
    const wire = (): Subject['wire'] => {
      if (shared === undefined) throw new Error('used before beforeAll')
      return shared.wire
    }
    beforeAll(async () => {
      shared = await make()
    })
    afterAll(() => shared?.close())

    describe.concurrent('commands', () => commandCases(wire))
    describe.concurrent('values', () => valueCases(wire))
    describe.concurrent('flights', () => flightCases(wire))
    describe.concurrent('concurrent flights', () => concurrencyCases(make))
    describe.concurrent('refused writes', () => refusalCases(wire, make))
    describe.concurrent('time to live', () => ttlCases(make))
    describe.concurrent('closing and restarting', () => closingCases(make))
  })
}
