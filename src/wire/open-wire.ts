/** The one table of the stores that a save path can name. Who opens a store, or looks into one, asks here. */
import { InvalidSavePathError } from '../errors.js'
import { nearestName } from '../system/nearest-name.js'
import { fileScheme } from './file/file-scheme.js'
import { memcachedScheme } from './memcached/memcached-scheme.js'
import { memoryScheme } from './memory/memory-scheme.js'
import type { OpenOptions } from './open-options.js'
import { redisClusterScheme } from './redis/cluster/cluster-scheme.js'
import { redisScheme } from './redis/redis-scheme.js'
import { callerOf } from './redis/client/caller-of.js'
import { createClientWire } from './redis/client/client-wire.js'
import { redisSentinelScheme } from './redis/sentinel/sentinel-scheme.js'
import type { Refuse, StoreAddress, WireScheme } from './scheme.js'
import type { Wire } from './wire.js'

/** A new wire is a folder and a line here. The first one reads what begins with no scheme: `10.0.0.1:11211`. */
const SCHEMES: readonly [WireScheme, ...WireScheme[]] = [memcachedScheme, memoryScheme, fileScheme, redisScheme, redisSentinelScheme, redisClusterScheme]

/** Where the command-line tool finds the save path, if it is not told: the first that is set. */
export const SAVE_PATH_VARIABLES: readonly string[] = [
  'LATCHKEY_SAVE_PATH',
  ...SCHEMES.flatMap(({ variable }) => variable ?? []),
]

const FORM =
  `Write it as ${SCHEMES.map(({ form }) => form).join(', or ')} ` + '(percent-encode other signs in names and passwords).'

/**
 * Reads a save path, strictly and without asking anybody: servers in PHP's form, or what another scheme of the table says.
 *
 * @throws {InvalidSavePathError} on anything else. Its message never holds a password.
 */
export function readSavePath(text: string): StoreAddress {
  if (typeof text !== 'string' || text.trim() === '') throw new InvalidSavePathError(`The save path is empty. ${FORM}`)
  const refuse: Refuse = (where, problem, value) => {
    // With credentials in it nothing is repeated: a misplaced sign makes a piece of a password look like a port.
    const shown = value === undefined || /@|[?&]sentinel=/i.test(text) ? '' : ` (${JSON.stringify(value)})`
    throw new InvalidSavePathError(`Invalid save path, ${where}: ${problem}${shown}. ${FORM}`)
  }
  const trimmed = text.trim()
  return schemeOf(trimmed, refuse).read(trimmed, refuse)
}

/**
 * A wire over a client of another library, to a Redis, in place of a save path.
 *
 * @throws {InvalidOptionError} it is of no library that is known.
 */
export const openWireOver = (client: object, { clock, flightMs }: OpenOptions): Wire =>
  createClientWire({ caller: callerOf(client, flightMs), clock, flightMs })

function schemeOf(text: string, refuse: Refuse): WireScheme {
  const start = text.toLowerCase()
  const named = SCHEMES.find(({ beginnings }) => beginnings.some((beginning) => start.startsWith(beginning)))
  if (named !== undefined) return named
  const [, given, rest] = /^([a-z][a-z0-9+.-]*):(\/|$)/i.exec(text) ?? []
  if (given === undefined) return SCHEMES[0]
  const beginnings = new Map(SCHEMES.flatMap((scheme) => scheme.beginnings.map((one) => [one.replace(/:.*/, ''), one] as const)))
  const meant = beginnings.get(nearestName(given, beginnings.keys()) ?? '')
  // A host without its port says so itself; a scheme that was mistyped looks the same.
  if (rest === '' && meant === undefined) return SCHEMES[0]
  return refuse('server 1', `unknown scheme${meant === undefined ? '' : `; did you mean ${meant}?`}`, given)
}
