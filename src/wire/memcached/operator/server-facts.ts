import type { Clock } from '../../../system/clock.js'
import type { ServerAddress } from '../save-path.js'
import type { OperatorConnection } from './operator-connection.js'

/** What a server says of itself, and how long it took to say it. */
export interface ServerFacts {
  readonly server: ServerAddress
  readonly version: string
  /** `stats`: numbers since it was started. */
  readonly stats: ReadonlyMap<string, string>
  /** `stats settings`: how it was started. */
  readonly settings: ReadonlyMap<string, string>
  /** `stats items`: numbers of each slab class, by `items:<class>:<name>`. */
  readonly items: ReadonlyMap<string, string>
  readonly roundTripMs: number
  /** By how much its clock is ahead of ours, rounded towards 0: it tells whole seconds only. */
  readonly aheadSec: number
}

/** Four round trips. Errors as of OperatorConnection.ask(). */
export async function factsOf(
  server: ServerAddress,
  connection: OperatorConnection,
  clock: Clock,
): Promise<ServerFacts> {
  const startedMs = clock.nowMs()
  const version = (await connection.ask('version')).replace(/^VERSION /, '')
  const roundTripMs = clock.nowMs() - startedMs
  const stats = await connection.stats()
  const wallSec = clock.wallMs() / 1000
  // The server's second began up to one second ago.
  const ahead = Number(stats.get('time') ?? wallSec) + 0.5 - wallSec
  const settings = await connection.stats('settings')
  const items = await connection.stats('items')
  return { server, version, stats, settings, items, roundTripMs, aheadSec: Math.trunc(ahead) }
}

/** A number of `stats`, `stats settings`; 0 where the server does not say. */
export function numberOf(found: ReadonlyMap<string, string>, name: string): number {
  const value = Number(found.get(name) ?? 0)
  return Number.isFinite(value) ? value : 0
}

/** The sum of one number over all slab classes. */
export function sumOf(items: ReadonlyMap<string, string>, name: string): number {
  let sum = 0
  for (const key of items.keys()) if (key.endsWith(`:${name}`)) sum += numberOf(items, key)
  return sum
}
