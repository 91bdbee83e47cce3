import { InvalidOptionError } from '../../errors.js'
import { checkNames } from '../../system/option-names.js'
import type { SessionMiddleware } from './shop.js'
import { STORIES } from './stories.js'

/** The middleware that the races are played against. */
export interface RaceKitOptions {
  /**
   * Makes the middleware under test: `session({ store, ... })`, or `latchkey({ manager, ... })`. Called for each story.
   */
  readonly middleware: () => SessionMiddleware
  /**
   * How long a request waits for the request it races with, in milliseconds. Under a lock the other request never
   * comes, and each story takes this long. At least 10. Default 100.
   */
  readonly patienceMs?: number
}

const OPTIONS: ReadonlySet<string> = new Set<keyof RaceKitOptions>(['middleware', 'patienceMs'])

/** How one race ended. */
export interface StoryResult {
  readonly story: string
  readonly survived: boolean
  /** What was lost, in a few words; undefined when nothing was lost. */
  readonly lost: string | undefined
}

/**
 * Plays named races against any express-session store, over real HTTP on loopback, and says which races it survives.
 *
 * Set `resave: false` and `saveUninitialized: false` in the middleware; otherwise the verdicts mean nothing.
 * Each story begins a session of its own, so the store need not be empty.
 *
 * @throws LATCHKEY_INVALID_OPTION: `middleware` is missing, or an option is unknown.
 */
export async function playRaces(options: RaceKitOptions): Promise<StoryResult[]> {
  checkNames(options, OPTIONS)
  if (typeof options.middleware !== 'function') throw new InvalidOptionError('middleware is missing: playRaces({ middleware: () => session({ store, ... }) }).')
  const patienceMs = Math.max(options.patienceMs ?? 100, 10)
  const results: StoryResult[] = []
  for (const story of STORIES) {
    const lost = await story.play({ middleware: options.middleware(), patienceMs })
    results.push({ story: story.name, survived: lost === undefined, lost })
  }
  return results
}
