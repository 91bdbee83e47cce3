/** What the errors of Redis say for certain. */

/**
 * Redis answers with these words before it carries a command out, so that nothing has happened. Every other error
 * (`ERR`, or what a proxy says) leaves it open.
 */
const REFUSALS: ReadonlySet<string> = new Set([
  'READONLY', // It is a replica.
  'MASTERDOWN', // It is a replica that has lost its primary.
  'LOADING', // It reads its data after a start.
  'NOREPLICAS', // min-replicas-to-write
  'MISCONF', // It cannot write to its disk, and stop-writes-on-bgsave-error is on.
  'BUSY', // Somebody's script runs for too long.
  'OOM', // maxmemory, with noeviction.
  'NOAUTH',
  'WRONGPASS',
  'NOPERM', // The user may not use this command, or this key.
  'WRONGTYPE', // Something else than a string is under the key.
  'NOSCRIPT',
  'MOVED',
  'ASK',
  'TRYAGAIN',
  'CROSSSLOT',
  'CLUSTERDOWN',
])

/** After these the next flight should look for another server at the address: a failover may have changed it. */
const ENDS: ReadonlySet<string> = new Set(['READONLY', 'MASTERDOWN', 'LOADING', 'NOAUTH', 'MOVED', 'ASK', 'CLUSTERDOWN'])

/** An error within a script has its place before it, in versions before 7. */
const WORD = /^(?:@user_script: ?\d+: -?)?([A-Z]+)\b/
const wordOf = (error: string): string => WORD.exec(error)?.[1] ?? ''

export const isRefusal = (error: string): boolean => REFUSALS.has(wordOf(error))
export const endsConnection = (error: string): boolean => ENDS.has(wordOf(error))
export const isOutOfMemory = (error: string): boolean => wordOf(error) === 'OOM'
export const isNoScript = (error: string): boolean => wordOf(error) === 'NOSCRIPT'
