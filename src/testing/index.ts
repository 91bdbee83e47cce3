/**
 * For applications that test their session handling: control over time and chance (the manager's `clock` and `random`),
 * and races to play against any store.
 * For authors of wires: a suite of cases that every wire must pass.
 *
 * @module latchkey/testing
 */
export { VirtualClock } from './virtual-clock.js'
export { SeededRandom } from './seeded-random.js'
export { wireConformance, type WireCase, type WireConformance } from './wire-conformance/wire-conformance.js'
export type { MakeWireSubject, WireSubject, WireSubjectOptions } from './wire-conformance/subject.js'
export { playRaces, type RaceKitOptions, type StoryResult } from './race-kit/race-kit.js'
export type { SessionMiddleware } from './race-kit/shop.js'
