import { describeServer, type ServerAddress } from '../../wire/memcached/save-path.js'
import { dumpKeys } from '../../wire/memcached/operator/key-dump.js'
import { bytes, duration, table } from '../format.js'
import { type Place } from '../place.js'
import { EXIT, type Report } from '../report.js'

interface Counted {
  readonly sessions: number
  readonly locks: number
}

/** `latchkey stats`: one question to each server, and with `counts` a key dump of each. */
export async function stats(place: Place, counts: boolean): Promise<Report> {
  const servers = await Promise.all(place.servers.map((server) => statsOf(place, server, counts)))
  return {
    exitCode: EXIT.fine,
    data: { servers },
    lines: servers.flatMap(({ server, version, uptimeSec, memory, connections, hits, evictions, counted }) => [
      `${server}: memcached ${version}, up for ${duration(uptimeSec * 1000)}`,
      ...table([
        ['  memory', `${bytes(memory.usedBytes)} of ${bytes(memory.limitBytes)} in ${String(memory.items)} items`],
        ['  evictions', `${String(evictions.evicted)}, ${String(evictions.neverRead)} of them never read`],
        ['  connections', `${String(connections.now)} of ${String(connections.limit)}`],
        ['  reads', `${String(hits.hits)} hits, ${String(hits.misses)} misses`],
        ...(counted === undefined ? [] : [['  counted', countedOf(counted)]]),
      ]),
    ]),
  }
}

const countedOf = ({ sessions, locks }: Counted): string => `${String(sessions)} sessions, ${String(locks)} locks`

async function statsOf(place: Place, server: ServerAddress, counts: boolean) {
  const numbers = await readNumbers(place, server)
  const number = (name: string): number => Number(numbers.get(name) ?? 0)
  return {
    server: describeServer(server),
    version: numbers.get('version') ?? '?',
    uptimeSec: number('uptime'),
    memory: { usedBytes: number('bytes'), limitBytes: number('limit_maxbytes'), items: number('curr_items') },
    evictions: { evicted: number('evictions'), neverRead: number('evicted_unfetched') },
    connections: { now: number('curr_connections'), limit: number('max_connections') },
    hits: { hits: number('get_hits'), misses: number('get_misses') },
    ...(counts ? { counted: await count(place, server) } : {}),
  }
}

async function readNumbers(place: Place, server: ServerAddress): Promise<ReadonlyMap<string, string>> {
  using connection = await place.ask(server)
  return await connection.stats()
}

/** By their keys alone: a tombstone counts as a session until it expires. */
async function count(place: Place, server: ServerAddress): Promise<Counted> {
  const { clock, signal, deadlineMs, layout } = place
  const keys = await dumpKeys({ server, clock, signal, silenceMs: deadlineMs }, layout.prefix)
  const locks = keys.filter((key) => layout.idOfLock(key) !== undefined).length
  const sessions = keys.filter((key) => layout.flawOf(key.slice(layout.prefix.length)) === undefined).length
  return { sessions, locks }
}
