import { type Store, storeOf } from './store.js'

export interface Options {
  readonly json: boolean
  readonly help: boolean
  readonly store: Store
}

export class UsageError extends Error {}

export const USAGE = `Usage: npm run demo [-- --json | --help]

Plays a page whose requests share one session, first without the lock, then with
it, next to a second browser, and shows what was kept.

  --json   print one JSON object and nothing else
           (npm adds a banner of its own: npm run --silent demo -- --json)
  --help   print this

MEMCACHE_SERVERS=host:port[,host:port...]   keep the sessions on memcached, or on
                                            Redis (redis://host:port);
                                            without it in a file, or in this process
NO_COLOR=1                                  no colours

Exit code: 0 the unlocked run lost at least one change and the locked one none,
1 otherwise or when it could not run, 2 for a wrong argument, 130 after ctrl-C.`

/** @throws UsageError for an argument that is not known. */
export function parseArguments(args: readonly string[], env: NodeJS.ProcessEnv): Options {
  const known = new Set(['--json', '--help', '-h'])
  const unknown = args.find((arg) => !known.has(arg))
  if (unknown !== undefined) throw new UsageError(`unknown argument ${JSON.stringify(unknown)}`)
  return {
    json: args.includes('--json'),
    help: args.includes('--help') || args.includes('-h'),
    store: storeOf(env['MEMCACHE_SERVERS']),
  }
}
