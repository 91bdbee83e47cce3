import { type Store, storeOf } from './store.js'

export interface Options {
  readonly json: boolean
  readonly help: boolean
  /** The race in a page of the browser; `opens`: which is opened. */
  readonly page: boolean
  readonly opens: boolean
  readonly store: Store
}

export class UsageError extends Error {}

export const USAGE = `Usage: npm run demo [-- --json | --page [--open] | --help]

Plays a page whose requests share one session, first without the lock, then with
it, next to a second browser, and shows what was kept.

  --json   print one JSON object and nothing else
           (npm adds a banner of its own: npm run --silent demo -- --json)
  --page   show the race in latchkey's live page instead, slow enough to follow,
           as often as you like; prints its address; ctrl-C ends
  --open   with --page: open the browser
  --help   print this

MEMCACHE_SERVERS=host:port[,host:port...]   keep the sessions on memcached, or on
                                            Redis (redis://host:port);
                                            without it in a file, or in this process
NO_COLOR=1                                  no colours

Exit code: 0 the unlocked run lost at least one change and the locked one none,
1 otherwise or when it could not run, 2 for a wrong argument, 130 after ctrl-C.`

/** @throws UsageError for an argument that is not known. */
export function parseArguments(args: readonly string[], env: NodeJS.ProcessEnv): Options {
  const known = new Set(['--json', '--page', '--open', '--help', '-h'])
  const unknown = args.find((arg) => !known.has(arg))
  if (unknown !== undefined) throw new UsageError(`unknown argument ${JSON.stringify(unknown)}`)
  if (args.includes('--page') && args.includes('--json')) throw new UsageError('--page and --json exclude each other')
  if (args.includes('--open') && !args.includes('--page')) throw new UsageError('--open is for --page')
  return {
    json: args.includes('--json'),
    page: args.includes('--page'),
    opens: args.includes('--open'),
    help: args.includes('--help') || args.includes('-h'),
    store: storeOf(env['MEMCACHE_SERVERS']),
  }
}
