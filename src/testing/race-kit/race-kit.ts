import type { SessionMiddleware } from './shop.js'
import { STORIES } from './stories.js'

/** What the races are played against. */
export interface RaceKitOptions {
  /** The middleware under test: `session({ store, ... })`, or `latchkey({ manager, ... })`. Called once a story. */
  readonly middleware: () => SessionMiddleware
  /**
   * Milliseconds that a request waits for the one it races with; with a lock that one never comes, and this is what
   * the story costs. At least 10. Default 100.
   */
  readonly patienceMs?: number
}

/** How one race ended. */
export interface StoryResult {
  readonly story: string
  readonly survived: boolean
  /** What was lost, in a few words; undefined when nothing was. */
  readonly lost: string | undefined
}

/**
 * Plays named races against any express-session store, over real HTTP on loopback, and says which it survives.
 *
 * The middleware needs `resave: false` and `saveUninitialized: false` for the verdicts to mean what they say.
 * Each story begins a session of its own, so stores may keep what they have.
 */
export async function playRaces(options: RaceKitOptions): Promise<StoryResult[]> {
  const patienceMs = Math.max(options.patienceMs ?? 100, 10)
  const results: StoryResult[] = []
  for (const story of STORIES) {
    const lost = await story.play({ middleware: options.middleware(), patienceMs })
    results.push({ story: story.name, survived: lost === undefined, lost })
  }
  return results
}
