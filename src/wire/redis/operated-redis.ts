/** A Redis as its operators see it. */
import { bytes, duration } from '../../system/format.js'
import type { OpenOptions } from '../open-options.js'
import type { Examination, Figures, Finding, OperatedNode, OperatedStore, OperateOptions } from '../operated-store.js'
import { AuthenticationError } from '../socket/codec.js'
import type { ServerNode } from '../socket/node.js'
import { shown } from '../socket/server-errors.js'
import { FlightError, type Wire } from '../wire.js'
import { ask } from './ask.js'
import { asking, distinct, flightMsOf, ttlSecIn } from './asking.js'
import { createRedisNode, createRedisWire } from './redis-wire.js'
import { peerOf, type RedisServer, type WatchedRedis } from './save-path.js'
import { keysOf } from './scan.js'
import { findingsOfSentinels } from './sentinel/sentinel-rules.js'
import { findingsOf, type ServerFacts } from './server-rules.js'
import { REDIS } from './traits.js'

export function operateRedis(server: RedisServer | WatchedRedis, options: OperateOptions): OperatedStore {
  const node = new OperatedRedis(server, options)
  return { nodes: [node], nodeOf: () => node }
}

class OperatedRedis implements OperatedNode {
  readonly name: string
  readonly #server: RedisServer | WatchedRedis
  readonly #options: OperateOptions

  constructor(server: RedisServer | WatchedRedis, options: OperateOptions) {
    this.#server = server
    this.#options = options
    this.name = peerOf(server).name
  }

  open(options: OpenOptions): Wire {
    return createRedisWire({ ...options, server: this.#server })
  }

  keys(prefix: string): Promise<readonly string[]> {
    return this.#asking((node) => distinct(keysOf(node, prefix)))
  }

  async ttlSec(key: string): Promise<number | undefined> {
    return ttlSecIn(await this.#asking((node) => ask(node, 'PTTL', key)))
  }

  figures(): Promise<Figures> {
    return this.#asking(async (node) => {
      const facts = await factsOf(node)
      const { memory, evicted, connections, hits, misses, version, uptimeSec, replicas } = facts
      return {
        data: { version, uptimeSec, memory, evicted, connections, reads: { hits, misses }, replicas },
        about: aboutOf(facts),
        rows: [
          ['memory', memoryOf(facts)],
          ['evictions', String(evicted)],
          ['connections', `${String(connections.now)} of ${String(connections.limit)}`],
          ['reads', `${String(hits)} hits, ${String(misses)} misses`],
          ['replicas', String(replicas)],
        ],
      }
    })
  }

  async examine(): Promise<Examination> {
    const access = { tls: this.#server.tls !== undefined, authenticated: this.#server.credentials !== undefined }
    try {
      const facts = await this.#asking(factsOf)
      const { version, uptimeSec, memory, evicted, replicas, appendOnly } = facts
      const server = this.#server
      const ofSentinels = 'sentinels' in server ? await findingsOfSentinels(server, replicas, this.#options) : []
      return {
        data: { ...access, version, uptimeSec, memory, evicted, replicas, appendOnly },
        about: aboutOf(facts),
        findings: [...findingsOf(facts), ...ofSentinels],
        hasAnswered: true,
      }
    } catch (error) {
      this.#options.signal.throwIfAborted()
      return { data: access, about: REDIS.name, findings: [this.notReached(error)], hasAnswered: false }
    }
  }

  /** There is one server, so processes cannot differ in their lists of servers. */
  examineUse(): Promise<readonly Finding[]> {
    return Promise.resolve([])
  }

  notReached(error: unknown): Finding {
    return notReached(error)
  }

  /** Over a connection of its own, which is closed when `question` is answered. */
  #asking<T>(question: (node: ServerNode) => Promise<T>): Promise<T> {
    const options = this.#options
    return asking(options, () => createRedisNode({ server: this.#server, clock: options.clock, flightMs: flightMsOf(options), connections: 1 }), question)
  }
}

/** What to look at when it was not reached, or turned us away. */
export function notReached(error: unknown): Finding {
  const message = error instanceof Error ? error.message : String(error)
  return isAboutCredentials(error)
    ? {
        code: 'credentials-refused',
        severity: 'problem',
        message,
        advice: 'Check user name and password (ACL LIST on the server); a password alone is written redis://:password@host.',
      }
    : {
        code: 'unreachable',
        severity: 'problem',
        message,
        advice: 'Check that it runs and is the primary, that the address is right, and what stands between: a firewall, bind and protected-mode, TLS (rediss://).',
      }
}

/** Asks the server about itself. @throws FlightError */
export async function factsOf(node: ServerNode): Promise<ServerFacts> {
  // Opens the connection, so that what takes time then is the question.
  await ask(node, 'PING')
  const info = await ask(node, 'INFO')
  if (typeof info !== 'string') throw new FlightError('unknown', `${node.name} does not tell about itself: its user may not use INFO.`)
  const fields = new Map([...info.matchAll(/^([a-z_0-9]+):([^\r\n]*)/gm)].map(([, name = '', value = '']) => [name, shown(value)]))
  const number = (name: string): number => Number(fields.get(name) ?? 0)
  const settings = await ask(node, 'CONFIG', 'GET', 'maxclients')
  const told = Array.isArray(settings) ? Number(settings[1]) : number('maxclients')
  return {
    version: fields.get('valkey_version') ?? fields.get('redis_version') ?? '?',
    product: fields.has('valkey_version') ? 'valkey' : REDIS.name,
    uptimeSec: number('uptime_in_seconds'),
    memory: { usedBytes: number('used_memory'), limitBytes: number('maxmemory'), policy: fields.get('maxmemory_policy') ?? '?' },
    evicted: number('evicted_keys'),
    connections: { now: number('connected_clients'), limit: told },
    hits: number('keyspace_hits'),
    misses: number('keyspace_misses'),
    replicas: number('connected_slaves'),
    appendOnly: fields.get('aof_enabled') === '1',
  }
}

export const memoryOf = ({ memory: { usedBytes, limitBytes, policy } }: ServerFacts): string =>
  `${bytes(usedBytes)} of ${limitBytes === 0 ? 'any' : bytes(limitBytes)}, ${policy}`

export const aboutOf = ({ product, version, uptimeSec, memory }: ServerFacts): string =>
  `${product} ${version}, up for ${duration(uptimeSec * 1000)}, ${memory.limitBytes === 0 ? 'no limit of memory' : `${bytes(memory.limitBytes)} of memory`}`

function isAboutCredentials(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) if (cause instanceof AuthenticationError) return true
  return false
}
