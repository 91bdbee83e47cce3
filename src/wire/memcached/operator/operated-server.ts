import { NotSupportedError } from '../../../errors.js'
import { bytes, duration } from '../../../system/format.js'
import type { OpenOptions } from '../../open-options.js'
import type { Examination, Figures, Finding, OperatedNode, OperateOptions } from '../../operated-store.js'
import { valueBytes, type Wire } from '../../wire.js'
import { AuthenticationError } from '../../socket/codec.js'
import { shown } from '../../socket/server-errors.js'
import { createMemcachedWire } from '../memcached-wire.js'
import { describeServer, protocolOf, type ServerAddress } from '../save-path.js'
import { fingerprintOf } from '../server-lists.js'
import { MEMCACHED } from '../traits.js'
import { dumpKeys } from './key-dump.js'
import { OperatorConnection, type OperatorOptions } from './operator-connection.js'
import { findingsOf } from './rules.js'
import { factsOf, numberOf, type ServerFacts } from './server-facts.js'

interface TtlQuestion {
  readonly key: string
  readonly resolve: (ttlSec: number | undefined) => void
  readonly reject: (reason: unknown) => void
}

/** One memcached, asked directly. */
export class OperatedServer implements OperatedNode {
  readonly name: string
  readonly #options: OperatorOptions
  /** The first of them is being answered. */
  readonly #ttlQuestions: TtlQuestion[] = []

  readonly #server: ServerAddress
  readonly #servers: readonly ServerAddress[]

  constructor(
    server: ServerAddress,
    servers: readonly ServerAddress[],
    options: OperateOptions,
  ) {
    this.#server = server
    this.#servers = servers
    this.name = describeServer(server)
    this.#options = { ...options, server }
  }

  open(options: OpenOptions): Wire {
    return createMemcachedWire({ ...options, servers: [this.#server] })
  }

  keys(prefix: string): Promise<readonly string[]> {
    return dumpKeys(this.#options, prefix)
  }

  ttlSec(key: string): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      this.#ttlQuestions.push({ key, resolve, reject })
      if (this.#ttlQuestions.length === 1) void this.#answerTtlQuestions()
    })
  }

  /** All that are asked meanwhile go over one connection: one for each key would use up the ports of a machine. */
  async #answerTtlQuestions(): Promise<void> {
    const questions = this.#ttlQuestions
    try {
      using connection = await this.#connect()
      for (let question = questions[0]; question !== undefined; question = questions[0]) {
        const [, ttlSec] = /^HD t(\d+)$/.exec(await connection.ask(`mg ${question.key} t`)) ?? []
        questions.shift()
        question.resolve(ttlSec === undefined ? undefined : Number(ttlSec))
      }
    } catch {
      // The server does not speak the text protocol, or does not know the meta commands.
      for (const { resolve, reject } of questions.splice(0)) {
        if (this.#options.signal?.aborted === true) reject(this.#options.signal.reason)
        else resolve(undefined)
      }
    }
  }

  async figures(): Promise<Figures> {
    using connection = await this.#connect()
    const stats = await connection.stats()
    const number = (name: string): number => numberOf(stats, name)
    const version = stats.get('version') ?? '?'
    const uptimeSec = number('uptime')
    const memory = { usedBytes: number('bytes'), limitBytes: number('limit_maxbytes'), items: number('curr_items') }
    const evictions = { evicted: number('evictions'), neverRead: number('evicted_unfetched') }
    const connections = { now: number('curr_connections'), limit: number('max_connections') }
    const hits = { hits: number('get_hits'), misses: number('get_misses') }
    return {
      data: { version, uptimeSec, memory, evictions, connections, hits },
      about: `${MEMCACHED.name} ${version}, up for ${duration(uptimeSec * 1000)}`,
      rows: [
        ['memory', `${bytes(memory.usedBytes)} of ${bytes(memory.limitBytes)} in ${String(memory.items)} items`],
        ['evictions', `${String(evictions.evicted)}, ${String(evictions.neverRead)} of them never read`],
        ['connections', `${String(connections.now)} of ${String(connections.limit)}`],
        ['reads', `${String(hits.hits)} hits, ${String(hits.misses)} misses`],
      ],
    }
  }

  async examine(): Promise<Examination> {
    const protocol = protocolOf(this.#server)
    const access = {
      protocol,
      tls: this.#server.tls !== undefined,
      authenticated: this.#server.credentials !== undefined,
    }
    const silent = (finding: Finding): Examination => ({ data: access, about: protocol, findings: [finding], hasAnswered: false })
    let facts: ServerFacts
    try {
      using connection = await this.#connect()
      facts = await factsOf(this.#server, connection, this.#options.clock)
    } catch (error) {
      this.#options.signal?.throwIfAborted()
      // A server that speaks only binary cannot be asked here, but may well keep sessions.
      const mayServe = error instanceof NotSupportedError || this.#server.protocol === 'binary'
      return silent(mayServe ? notAsked(error) : this.notReached(error))
    }
    return {
      data: { ...access, ...dataOf(facts) },
      about: `${aboutOf(facts)}, ${protocol}`,
      findings: findingsOf(facts),
      hasAnswered: true,
    }
  }

  /**
   * Finds a process that uses this server with another list of servers: the two would split the sessions between them.
   */
  async examineUse(wire: Wire, listsKey: string): Promise<readonly Finding[]> {
    const [left] = await wire.flight(listsKey, [{ op: 'get', key: listsKey }])
    const used = left?.value === undefined ? undefined : valueBytes(left.value).toString('latin1')
    const given = fingerprintOf(this.#servers)
    if (used === undefined || used === given) return []
    return [
      {
        code: 'server-lists-differ',
        severity: 'problem',
        message: `A running process uses it with another list of servers (${shown(used)}; given here: ${given})`,
        advice: 'Give every process, and the doctor, the same servers in the same words; docs/guide/changing-servers.md says how a list is changed.',
      },
    ]
  }

  notReached(error: unknown): Finding {
    const message = messageOf(error)
    if (isAboutCredentials(error)) {
      return {
        code: 'credentials-refused',
        severity: 'problem',
        message,
        advice: 'Check user name and password, and how it was started: -Y needs ?protocol=text, and SASL (-S) binary.',
      }
    }
    return {
      code: 'unreachable',
      severity: 'problem',
      message,
      advice:
        'Check that it runs, that the address is right, and what stands between: a firewall, TLS (tls:// and -Z), ' +
        'SASL, -B binary (?protocol=binary).',
    }
  }

  #connect(): Promise<OperatorConnection> {
    return OperatorConnection.open(this.#options)
  }
}

const notAsked = (error: unknown): Finding => ({
  code: 'stats-unavailable',
  severity: 'note',
  message: `Its memory and settings cannot be read from here (${messageOf(error)})`,
  advice: 'Check them on the machine itself.',
})

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

function isAboutCredentials(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) if (cause instanceof AuthenticationError) return true
  return false
}

const dataOf = ({ version, stats, settings, aheadSec, roundTripMs }: ServerFacts): Record<string, unknown> => ({
  version,
  uptimeSec: numberOf(stats, 'uptime'),
  memoryBytes: numberOf(stats, 'limit_maxbytes'),
  itemSizeBytes: numberOf(settings, 'item_size_max'),
  evictions: numberOf(stats, 'evictions'),
  clockAheadSec: aheadSec,
  roundTripMs: Math.round(roundTripMs * 100) / 100,
})

const aboutOf = ({ version, stats }: ServerFacts): string =>
  `${MEMCACHED.name} ${version}, up for ${duration(numberOf(stats, 'uptime') * 1000)}, ` +
  `${bytes(numberOf(stats, 'limit_maxbytes'))} of memory`
