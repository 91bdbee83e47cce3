/** What memcached says about itself during the handshake. */
import type { Greeting } from '../socket/greeting.js'

export interface ServerGreeting extends Greeting, Facts {}

interface Facts {
  /** The server's own time, in seconds since 1970; undefined if the server does not say. */
  readonly timeSec: number | undefined
  /** Whether a proxy answered where the save path names none (`via`). */
  readonly isProxy: boolean
  /** Whether the server counts the versions of its items; false where it was started with `-C`. */
  readonly hasVersions: boolean
  /** Whether a proxy seems to keep each key on several servers. */
  readonly isReplicated: boolean
}

/** Why this server cannot keep locks; undefined where it can. */
function flawOf({ isProxy, hasVersions, isReplicated }: Facts): string | undefined {
  if (isProxy) {
    return (
      'a proxy answers here, and not memcached itself: the keys of a session would lie on several servers, and a restart ' +
      'of one could not be seen. Name the servers themselves in the save path, or add ?via=proxy to the address'
    )
  }
  if (isReplicated) {
    return (
      'what was just stored through this proxy was not there, or had two versions. It keeps each key on several servers, or ' +
      'does not keep commands in their order, so that no lock can be held and no write fenced behind it. Let it spread the ' +
      'sessions over its servers, one connection to each (twemproxy: server_connections: 1)'
    )
  }
  if (!hasVersions) {
    return 'memcached runs without CAS (-C), and nothing can be locked or fenced without CAS. Start it without -C'
  }
  return undefined
}

/** Collects a greeting from the answers to `stats` and `stats settings`. */
export class GreetingReader {
  readonly #numbers = new Map<string, number>()
  #isProxy = false
  #hasVersions = true

  take(name: string, text: string): void {
    // A memcached that is built with the proxy and does not run as one tells that it does not (1.6.38: `proxy_enabled no`).
    if (name.startsWith('proxy_') && (!name.endsWith('_enabled') || text === 'yes')) this.#isProxy = true
    if (name === 'cas_enabled') this.#hasVersions = text !== 'no'
    if (name !== 'item_size_max' && name !== 'pid' && name !== 'time' && name !== 'uptime') return
    const value = Number(text)
    if (Number.isSafeInteger(value) && value >= 0) this.#numbers.set(name, value)
  }

  /** @param isReplicated what a proxy was found to do. */
  result(isReplicated = false): ServerGreeting {
    const pid = this.#numbers.get('pid')
    const time = this.#numbers.get('time')
    const uptime = this.#numbers.get('uptime')
    const known = pid !== undefined && time !== undefined && uptime !== undefined
    const facts = { timeSec: time, isProxy: this.#isProxy, hasVersions: this.#hasVersions, isReplicated }
    return {
      ...facts,
      itemSizeMaxBytes: this.#numbers.get('item_size_max'),
      flaw: flawOf(facts),
      // `time` - `uptime` stays the same for one process.
      process: known ? `${String(pid)}@${String(time - uptime)}` : undefined,
    }
  }
}

/** Takes the lines of a `stats`; says whether it was the last one. */
export function takeStatsInto(reader: GreetingReader): (line: string) => boolean {
  return (line) => {
    const [word, name, value] = line.split(' ')
    if (word === 'STAT' && name !== undefined && value !== undefined) reader.take(name, value)
    return word !== 'STAT'
  }
}
