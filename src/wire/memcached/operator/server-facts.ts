import type { Clock } from '../../../system/clock.js'
import { shown } from '../../socket/server-errors.js'
import type { ServerAddress } from '../save-path.js'
import type { OperatorConnection } from './operator-connection.js'

/** What a server says about itself, and how long its answer took. */
export interface ServerFacts {
  readonly server: ServerAddress
  readonly version: string
  /** The answer to `stats`: counts since the server was started. */
  readonly stats: ReadonlyMap<string, string>
  /** The answer to `stats settings`: how the server was started. */
  readonly settings: ReadonlyMap<string, string>
  /** The answer to `stats items`: counts of each slab class, by `items:<class>:<name>`. */
  readonly items: ReadonlyMap<string, string>
  readonly roundTripMs: number
  /** How far the server's clock is ahead of ours, rounded towards 0, because the server tells whole seconds only. */
  readonly aheadSec: number
}

/** Asks a server for its facts, in four round trips. Throws as OperatorConnection.ask() does. */
export async function factsOf(
  server: ServerAddress,
  connection: OperatorConnection,
  clock: Clock,
): Promise<ServerFacts> {
  const startedMs = clock.nowMs()
  const version = shown((await connection.ask('version')).replace(/^VERSION /, ''))
  const roundTripMs = clock.nowMs() - startedMs
  const stats = await connection.stats()
  const wallSec = clock.wallMs() / 1000
  // The server tells whole seconds, and its second began up to one second ago: half a second on average.
  const ahead = Number(stats.get('time') ?? wallSec) + 0.5 - wallSec
  const settings = await connection.stats('settings')
  const items = await connection.stats('items')
  return { server, version, stats, settings, items, roundTripMs, aheadSec: Math.trunc(ahead) }
}

/** A number of `stats` or `stats settings`; 0 where the server does not say. */
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
