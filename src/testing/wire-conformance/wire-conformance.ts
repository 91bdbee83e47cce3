import { Bench } from './bench.js'
import { closingCases } from './closing.js'
import { commandCases } from './commands.js'
import { cycleCases } from './cycles.js'
import { concurrencyCases } from './concurrency.js'
import { flightCases } from './flights.js'
import { optionalCases } from './optional.js'
import { outOfMemoryCases, tooLargeCases } from './refusals.js'
import type { MakeWireSubject, Plays } from './subject.js'
import { ttlCases } from './ttl.js'
import { valueCases } from './values.js'

/** One thing that every wire must do. */
export interface WireCase {
  /** The group of the case, and what must be true: `commands: cas: a stale version changes nothing`. */
  readonly name: string
  /** Rejects where the wire does something else, with an AssertionError of node:assert that shows what it did. */
  readonly run: () => Promise<void>
}

/** The suite, made for one wire. */
export interface WireConformance {
  /** The cases, in their order. Run at the same time they take as long as the longest of them: about four seconds. */
  readonly cases: readonly WireCase[]
  /** Closes the subjects that the cases have shared. */
  close(): Promise<void>
}

/**
 * Makes the suite of what every wire must do, whatever store is behind it: each command in each case, order and framing
 * of flights, concurrent flights, refused writes, times to live, closing and restarting. For authors of wires, and for
 * any test runner:
 *
 *     const suite = wireConformance(async (options) => ({ wire, advance, close }))
 *     after(() => suite.close())
 *     for (const { name, run } of suite.cases) it(name, run)
 *
 * Where a store cannot do what a group of cases asks for (to refuse writes instead of evicting, for `out of memory:
 * ...`), leave those cases out by their names.
 *
 * @param make makes a wire on an empty store of its own. Called about 20 times.
 */
export function wireConformance(make: MakeWireSubject): WireConformance {
  const bench = new Bench(make)
  const cases = (group: string, plays: Plays, on: (play: Plays[number][1]) => () => Promise<void>): WireCase[] =>
    plays.map(([name, play]) => ({ name: `${group}: ${name}`, run: on(play) }))
  const shared = bench.shared()
  const wide = bench.shared({ wide: true })
  return {
    cases: [
      ...cases('commands', commandCases, shared),
      ...cases('values', valueCases, shared),
      ...cases('flights', flightCases, shared),
      ...cases('concurrent flights', concurrencyCases, wide),
      ...cases('too large', tooLargeCases, shared),
      ...cases('out of memory', outOfMemoryCases, bench.shared({ small: true })),
      ...cases('what may be left out', optionalCases, shared),
      ...cases('cycles', cycleCases, shared),
      ...cases('time to live', ttlCases, bench.apart(ttlCases.map(([, play]) => play))),
      ...cases('closing and restarting', closingCases, (play) => () => bench.alone(play)),
    ],
    close: () => bench.close(),
  }
}
