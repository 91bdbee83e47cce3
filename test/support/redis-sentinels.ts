/** A primary, its replicas and the Sentinels that watch them: real processes, which know each other from the start. */
import { createHash } from 'node:crypto'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePorts } from '../../examples/deployment/ports.js'
import type { Certificate } from './certificate.js'
import { FaultProxy } from './proxy.js'
import { isInstalled } from './installed.js'
import { hasRedis, RedisProcess, tlsDirectives, type TlsListening } from './redis-server.js'
import { type CommandLine, HOST, type Place, type ServerOptions, ServerProcess } from './server-process.js'
import { until } from './until.js'

export const hasSentinel = hasRedis && isInstalled('redis-sentinel')

export const SERVICE = 'shop'
const QUORUM = 2
const SENTINELS = 3

export interface WatchedOptions {
  /** Default 2. */
  readonly replicas?: number
  /** After so long without an answer a Sentinel takes the primary for dead. Default 500. */
  readonly downAfterMs?: number
  /** For each of the servers that keep sessions. */
  readonly args?: readonly string[]
  /** For each Sentinel. */
  readonly sentinelArgs?: readonly string[]
  /** What a primary sends to a replica arrives so much later. Default 0. */
  readonly lagMs?: number
  /** Whether everybody reaches the first primary through a proxy. Default false. */
  readonly throughProxy?: boolean
  /** All of them speak TLS with it; the tests' own commands stay plain. */
  readonly certificate?: Certificate
}

/** Whether a process of ours is connected. Undefined: a Redis cuts all clients off when it becomes a replica. */
export const hasOurs = async (server: RedisProcess): Promise<boolean | undefined> =>
  server.command('CLIENT LIST').then((list) => list.includes('name=latchkey'), () => undefined)

export class SentinelProcess extends ServerProcess {
  private constructor(private readonly lines: readonly string[], place: Place) {
    super('sentinel', place)
  }

  static start(lines: readonly string[], options: ServerOptions = {}): Promise<SentinelProcess> {
    return ServerProcess.started('sentinel', options, (place) => new SentinelProcess(lines, place))
  }

  async command(line: string): Promise<string> {
    return this.answerTo(line)
  }

  /** A Sentinel closes no connection by itself. */
  protected override answerTo(line: string): Promise<string> {
    const socket = this.connect().setEncoding('latin1')
    socket.write(`${line}\r\nPING\r\n`)
    return new Promise((resolve, reject) => {
      let answer = ''
      socket.on('data', (text: string) => {
        answer += text
        if (!/\+PONG\r\n$|NOAUTH/.test(answer)) return
        socket.destroy()
        resolve(answer)
      })
      socket.on('error', reject)
    })
  }

  /** It writes what it has learnt into its configuration, and finds it there when it is started anew. */
  protected commandLine(): CommandLine {
    const file = join(this.directory, 'sentinel.conf')
    const own = [`port ${String(this.port)}`, `bind ${HOST}`, `dir ${this.directory}`, 'daemonize no', ...this.lines]
    if (!existsSync(file)) writeFileSync(file, `${own.join('\n')}\n`)
    return { binary: 'redis-sentinel', args: [file] }
  }

  protected async isReady(): Promise<boolean> {
    return this.command('PING').then((answer) => /PONG|NOAUTH/.test(answer), () => false)
  }
}

export class WatchedServers implements AsyncDisposable {
  private constructor(
    /** The first one is the primary at the beginning. */
    readonly servers: readonly RedisProcess[],
    readonly sentinels: readonly SentinelProcess[],
    readonly proxies: readonly FaultProxy[],
    /** By which the Sentinels know the first primary. */
    private readonly firstPort: number,
    /** By which others know the Sentinels. */
    private readonly sentinelPorts: readonly number[],
  ) {}

  static async start(options: WatchedOptions = {}): Promise<WatchedServers> {
    const { replicas = 2, downAfterMs = 500, args = [], sentinelArgs = [], lagMs = 0, throughProxy = false, certificate } = options
    const common = ['--repl-diskless-sync-delay', '0', ...args]
    const inTls = async (): Promise<{ readonly tls?: TlsListening }> => {
      const [port = 0] = await freePorts(1)
      return certificate === undefined ? {} : { tls: { port, certificate } }
    }
    const primary = await RedisProcess.start({ ...(await inTls()), args: common })
    const proxies: FaultProxy[] = []
    const proxied = async (): Promise<number> => {
      const proxy = await FaultProxy.start(primary)
      proxies.push(proxy)
      return proxy.port
    }
    const known = throughProxy ? await proxied() : primary.namedPort
    // By this it is known when it has become a replica.
    if (throughProxy) await primary.command(`CONFIG SET replica-announce-port ${String(known)}`)
    const source = lagMs === 0 ? known : await proxied()
    if (lagMs > 0) proxies.at(-1)?.always({ delayReplyMs: lagMs })
    const copies = await Promise.all(
      Array.from({ length: replicas }, async () => RedisProcess.start({ ...(await inTls()), args: [...common, '--replicaof', HOST, String(source)] })),
    )
    // Each Sentinel is told the ports of the others before it starts.
    const ports = await freePorts(SENTINELS)
    const named = certificate === undefined ? ports : await freePorts(SENTINELS)
    const ids = ports.map((port) => createHash('sha1').update(String(port)).digest('hex'))
    const sentinels = await Promise.all(
      ports.map((port, index) => {
        const others = named.flatMap((other, at) => (at === index ? [] : [`sentinel known-sentinel ${SERVICE} ${HOST} ${String(other)} ${ids[at] ?? ''}`]))
        const lines = [
          ...sentinelArgs,
          `sentinel myid ${ids[index] ?? ''}`,
          `sentinel monitor ${SERVICE} ${HOST} ${String(known)} ${String(QUORUM)}`,
          `sentinel down-after-milliseconds ${SERVICE} ${String(downAfterMs)}`,
          // A replica that follows the primary through a proxy is put right after as long.
          `sentinel failover-timeout ${SERVICE} ${lagMs > 0 ? '60000' : '3000'}`,
          ...copies.map((copy) => `sentinel known-replica ${SERVICE} ${HOST} ${String(copy.namedPort)}`),
          ...others,
          ...(certificate === undefined ? [] : tlsDirectives({ port: named[index] ?? 0, certificate }).map((one) => one.join(' '))),
        ]
        return SentinelProcess.start(lines, { port })
      }),
    )
    // Shortens what Sentinel waits before it puts right who takes itself for the primary; and before it chooses the next one it has
    // asked the replicas how far they are several times since the primary died: by an older answer it takes one that is behind.
    // And a Sentinel that a busy machine has left standing for two seconds does nothing for the next thirty.
    await Promise.all(sentinels.map((one) => one.command('SENTINEL DEBUG PUBLISH-PERIOD 500 INFO-PERIOD 100 TILT-TRIGGER 600000')))
    const watched = new WatchedServers([primary, ...copies], sentinels, proxies, known, named)
    await until('the replicas follow', async () =>
      (await Promise.all(copies.map((copy) => copy.isFollowing()))).every(Boolean))
    return watched
  }

  get sentinelList(): string {
    return this.sentinels.map(({ address }) => address).join(',')
  }

  get savePath(): string {
    return `redis+sentinel://${this.sentinelList}/${SERVICE}`
  }

  /** To those that speak TLS. */
  get tlsSavePath(): string {
    return `rediss+sentinel://${this.sentinelPorts.map((port) => `${HOST}:${String(port)}`).join(',')}/${SERVICE}`
  }

  get first(): RedisProcess {
    const [first] = this.servers
    if (first === undefined) throw new RangeError('no server')
    return first
  }

  /** The port of the primary by the word of the first Sentinel that runs. */
  async primaryPort(): Promise<number> {
    for (const sentinel of this.sentinels.filter(({ running }) => running)) {
      const [port] = /\d+(?=\r\n\+PONG)/.exec(await sentinel.command(`SENTINEL get-master-addr-by-name ${SERVICE}`)) ?? []
      if (port !== undefined) return Number(port)
    }
    throw new Error('no Sentinel tells where the primary is')
  }

  /** Has the Sentinels make another server the primary. They give up after three seconds, which a busy machine may need: then anew. */
  async failOver(): Promise<RedisProcess> {
    let nextMs = 0
    return this.failedOver(async () => {
      if (performance.now() < nextMs) return
      nextMs = performance.now() + 5000
      await this.sentinels[0]?.command(`SENTINEL FAILOVER ${SERVICE}`)
    })
  }

  /** Resolves when the Sentinels have made another server the primary. */
  async failedOver(meanwhile?: () => Promise<void>): Promise<RedisProcess> {
    let found: RedisProcess | undefined
    await until('another server is the primary', async () => {
      const port = await this.primaryPort()
      found = port === this.firstPort ? undefined : this.servers.find(({ namedPort }) => namedPort === port)
      if (found === undefined) await meanwhile?.()
      return found !== undefined
    })
    if (found === undefined) throw new Error('no primary')
    return found
  }

  /** Resolves when all servers follow that primary, but the one that was the first. */
  async followed(primary: RedisProcess): Promise<void> {
    const others = this.servers.filter((server) => server !== primary && server !== this.first)
    await until('the other replicas follow the new primary', async () =>
      (await Promise.all(others.map((server) => server.isFollowing(primary.namedPort)))).every(Boolean))
  }

  async stop(): Promise<void> {
    await Promise.all([...this.sentinels, ...this.servers, ...this.proxies].map((one) => one.stop()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}
