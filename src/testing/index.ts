/**
 * Time and chance under a test's control, for applications that test their session handling: pass them as the
 * manager's `clock` and `random`.
 */
export { VirtualClock } from './virtual-clock.js'
export { SeededRandom } from './seeded-random.js'
export { playRaces, type RaceKitOptions, type StoryResult } from './race-kit/race-kit.js'
export type { SessionMiddleware } from './race-kit/shop.js'
