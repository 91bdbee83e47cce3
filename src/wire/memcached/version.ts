/** Versions as memcached prints them. */
import type { Cas } from '../wire.js'

/** Whether the server counts versions: one that runs without them (`-C`) prints 0 for all. */
export const isVersion = (version: string): boolean => !version.startsWith('0') || !/^0+$/.test(version)

/** The CAS that a server printed; undefined where it counts none. */
export const casOf = (version: string, asOf: number): Cas | undefined => (isVersion(version) ? { version, asOf } : undefined)
