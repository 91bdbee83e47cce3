/** A real redis-server for tests and benchmarks, on a loopback port of its own, that keeps nothing on disk. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Certificate } from './certificate.js'
import { type CommandLine, HOST, type Place, type ServerOptions, ServerProcess } from './server-process.js'

/** `args`: for example `['--maxmemory', '8mb']`. */
export interface RedisOptions extends ServerOptions {
  /** Default: redis-server, or what REDIS_BINARY says. */
  readonly binary?: string
  /**
   * Makes it a node of a Cluster whose bus listens there: a port that was claimed (`freePorts`). Redis's default, 10,000
   * above its own port, is anybody's: an outgoing connection may have it.
   */
  readonly busPort?: number
  /** Listens in TLS as well, at a port that was claimed; what servers say to each other is in TLS then, too. */
  readonly tls?: TlsListening
}

export interface TlsListening {
  readonly port: number
  readonly certificate: Certificate
}

/** How Redis and its Sentinel are told of it, without the dashes of a command line. */
export const tlsDirectives = ({ port, certificate: { key, cert } }: TlsListening): readonly (readonly [name: string, value: string])[] => [
  ['tls-port', String(port)], ['tls-cert-file', cert], ['tls-key-file', key], ['tls-ca-cert-file', cert], ['tls-auth-clients', 'no'], ['tls-replication', 'yes'],
]

const BINARY = process.env['REDIS_BINARY'] ?? 'redis-server'

/** Whether there is a redis-server on this machine. */
export const hasRedis = spawnSync(BINARY, ['--version']).status === 0

/** Valkey's server: this machine's, or that which `scripts/test-valkey.sh` brings. Undefined: neither is there. */
export const VALKEY = ['valkey-server', fileURLToPath(new URL('../../.cache/valkey/valkey-server', import.meta.url))].find(
  (binary) => spawnSync(binary, ['--version']).status === 0,
)

export class RedisProcess extends ServerProcess {
  private constructor(
    private readonly options: RedisOptions,
    place: Place,
  ) {
    super('redis', place)
  }

  /** Resolves when the server answers. */
  static start(options: RedisOptions = {}): Promise<RedisProcess> {
    return ServerProcess.started('redis', options, (place) => new RedisProcess(options, place))
  }

  get savePath(): string {
    return this.port === 0 ? `redis+unix://${this.socketPath}` : `redis://${this.address}`
  }

  /** Where others are told to reach it: in TLS, if it speaks that. */
  get namedPort(): number {
    return this.options.tls?.port ?? this.port
  }

  /** Sends an inline command on a connection of its own, and returns all that the server answers. */
  async command(line: string): Promise<string> {
    return (await this.answerTo(line, 'QUIT')).replace(/\+OK\r\n$/, '').trimEnd()
  }

  /** Whether it is a replica, of the server with that port if one is named, and has what that one has. */
  async isFollowing(port?: number): Promise<boolean> {
    const info = await this.command('INFO replication')
    return info.includes('master_link_status:up') && (port === undefined || info.includes(`master_port:${String(port)}\r`))
  }

  protected commandLine(): CommandLine {
    const listen = this.port === 0 ? ['--port', '0', '--unixsocket', this.socketPath] : ['--port', String(this.port), '--bind', HOST]
    const own = ['--save', '', '--appendonly', 'no', '--dir', this.directory, '--daemonize', 'no']
    const { binary = BINARY, busPort, tls, args = [] } = this.options
    const cluster = busPort === undefined ? [] : ['--cluster-enabled', 'yes', '--cluster-port', String(busPort)]
    const inTls = tls === undefined ? [] : [...tlsDirectives(tls), ['tls-cluster', 'yes'] as const].flatMap(([name, value]) => [`--${name}`, value])
    return { binary, args: [...listen, ...own, ...cluster, ...inTls, ...args] }
  }

  /** It may not answer, or not yet. It is asked when it says that it is ready: to ask it all the time slows its start down. */
  protected async isReady(said: string): Promise<boolean> {
    try {
      return /ready to accept connections/i.test(said) && /PONG|NOAUTH|LOADING/.test(await this.command('PING'))
    } catch {
      return false
    }
  }
}
