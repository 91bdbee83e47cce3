/** Redis and Sentinel as programs: a primary, two replicas that are a little behind, and three Sentinels. */
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts } from '../deployment/ports.js'
import { NotInstalledError, type Program, Programs, until } from '../deployment/programs.js'

const HOST = '127.0.0.1'
const SERVICE = 'shop'
const DOWN_AFTER_MS = 1000
/** What the primary tells its replicas is this much under way, as between two data centres. */
const LAG_MS = 100
const REDIS_SERVERS = 3
const SENTINELS = 3
const QUORUM = 2

/** @throws NotInstalledError */
export async function checkPrograms(): Promise<void> {
  const programs = new Programs()
  try {
    const missing: string[] = []
    for (const name of ['redis-server', 'redis-sentinel']) {
      if ((await programs.start(name, ['--version']).ended) === 127) missing.push(name)
    }
    if (missing.length > 0) {
      throw new NotInstalledError(`this example needs ${missing.join(' and ')}. Install: apt-get install redis-server redis-sentinel (Debian, Ubuntu)`)
    }
  } finally {
    await programs.end()
  }
}

export class Redis {
  private readonly programs = new Programs()
  private readonly running = new Map<number, Program>()
  private readonly paths: Server[] = []
  private sentinels: readonly number[] = []
  private ports: readonly number[] = []

  constructor(private readonly signal: AbortSignal) {}

  get savePath(): string {
    return `redis+sentinel://${this.sentinels.map((port) => `${HOST}:${String(port)}`).join(',')}/${SERVICE}`
  }

  get addresses(): readonly string[] {
    return [...this.ports, ...this.sentinels].map((port) => `${HOST}:${String(port)}`)
  }

  async start(): Promise<void> {
    const ports = await freePorts(REDIS_SERVERS + SENTINELS)
    this.ports = ports.slice(0, REDIS_SERVERS)
    const [primary = 0, ...replicas] = this.ports
    await this.startServer(primary)
    const far = await this.farFrom(primary)
    await Promise.all(replicas.map((port) => this.startServer(port, far)))
    await Promise.all(replicas.map((port) => this.follows(port)))
    this.sentinels = ports.slice(REDIS_SERVERS)
    await Promise.all(this.sentinels.map((port) => this.startSentinel(port, primary)))
    // They ask the replicas every ten seconds how far they are, and choose the next primary by that. Who waits for less than ten
    // seconds before it takes a primary for dead, as this example does, must ask more often (Redis 7), or one that is behind is chosen.
    // And one that a busy machine has left standing for two seconds does nothing for the next thirty.
    await Promise.all(this.sentinels.map((port) => say(port, 'SENTINEL DEBUG INFO-PERIOD 100 TILT-TRIGGER 600000')))
  }

  /** Where the Sentinels say that the primary is. */
  async primary(): Promise<number> {
    for (const sentinel of this.sentinels) {
      const [port] = /\d+(?=\r\n\+PONG)/.exec(await say(sentinel, `SENTINEL get-master-addr-by-name ${SERVICE}`)) ?? []
      if (port !== undefined) return Number(port)
    }
    throw new Error('no Sentinel says where the primary is')
  }

  /** Resolves with the new primary. */
  async movedFrom(port: number): Promise<number> {
    for (;;) {
      const now = await this.primary()
      if (now !== port) return now
      await sleep(20, undefined, { signal: this.signal })
    }
  }

  async kill(port: number): Promise<void> {
    const program = this.running.get(port)
    program?.signal('SIGKILL')
    await program?.ended
  }

  stop(port: number): void {
    this.running.get(port)?.signal('SIGSTOP')
  }

  /**
   * Lets a server go on that has stood still, once all the others follow the new primary. One that still follows it would
   * confirm to it what was under way: a copy more, but none on the side that goes on (docs/guide/redis.md).
   */
  async resume(port: number, primary: number): Promise<void> {
    await this.othersFollow(primary, port)
    this.running.get(port)?.signal('SIGCONT')
  }

  /**
   * A server that died comes back as a replica: what it had is gone. Resolves when all the others follow the primary: until then a
   * copy on one of them may be on the one that does not take over next.
   */
  async comesBack(port: number, primary: number): Promise<void> {
    await this.startServer(port, primary)
    await this.othersFollow(primary)
  }

  async end(): Promise<void> {
    for (const path of this.paths) path.close()
    await this.programs.end()
  }

  private async startServer(port: number, primary?: number): Promise<void> {
    const follows = primary === undefined ? [] : ['--replicaof', HOST, String(primary)]
    const args = ['--port', String(port), '--bind', HOST, '--save', '', '--dir', this.programs.directory, '--dbfilename', `${String(port)}.rdb`]
    const program = this.programs.start('redis-server', [...args, '--repl-diskless-sync-delay', '0', ...follows])
    this.running.set(port, program)
    await until('redis-server did not start', () => answers(port), { program, signal: this.signal })
  }

  private async startSentinel(port: number, primary: number): Promise<void> {
    const directory = join(this.programs.directory, String(port))
    mkdirSync(directory)
    const others = this.sentinels.filter((other) => other !== port)
    const lines = [
      `port ${String(port)}`,
      `bind ${HOST}`,
      `dir ${directory}`,
      `sentinel myid ${nameOf(port)}`,
      `sentinel monitor ${SERVICE} ${HOST} ${String(primary)} ${String(QUORUM)}`,
      `sentinel down-after-milliseconds ${SERVICE} ${String(DOWN_AFTER_MS)}`,
      `sentinel failover-timeout ${SERVICE} 3000`,
      // They would find each other in some seconds.
      ...others.map((other) => `sentinel known-sentinel ${SERVICE} ${HOST} ${String(other)} ${nameOf(other)}`),
      ...this.ports.filter((other) => other !== primary).map((other) => `sentinel known-replica ${SERVICE} ${HOST} ${String(other)}`),
    ]
    const file = join(directory, 'sentinel.conf')
    writeFileSync(file, `${lines.join('\n')}\n`)
    const program = this.programs.start('redis-sentinel', [file])
    await until('redis-sentinel did not start', () => answers(port), { program, signal: this.signal })
  }

  private async othersFollow(primary: number, but?: number): Promise<void> {
    const others = this.ports.filter((port) => port !== primary && port !== but)
    await Promise.all(others.map((port) => this.follows(port, primary)))
  }

  private async follows(port: number, primary?: number): Promise<void> {
    const program = this.running.get(port)
    if (program === undefined) throw new RangeError('no such server')
    const isUp = async (): Promise<boolean> => {
      const info = await say(port, 'INFO replication')
      return info.includes('master_link_status:up') && (primary === undefined || info.includes(`master_port:${String(primary)}\r`))
    }
    await until('a replica does not follow', isUp, { program, signal: this.signal })
  }

  /** A port that leads to the server, and back from it takes `LAG_MS`. */
  private async farFrom(port: number): Promise<number> {
    const [own = 0] = await freePorts(1)
    const path = createServer((near) => {
      const far = connect(port, HOST)
      near.pipe(far)
      far.on('data', (bytes: Buffer) => void setTimeout(() => near.write(bytes), LAG_MS))
      const close = (): void => {
        near.destroy()
        far.destroy()
      }
      for (const socket of [near, far]) socket.on('error', close).on('close', close)
    })
    this.paths.push(path)
    await new Promise<void>((resolve) => path.listen(own, HOST, resolve))
    return own
  }
}

const nameOf = (port: number): string => createHash('sha1').update(String(port)).digest('hex')
const answers = (port: number): Promise<boolean> => say(port, 'PING').then((said) => said.includes('PONG'), () => false)

/** Says one line on a connection of its own; a Sentinel closes none by itself. */
function say(port: number, line: string): Promise<string> {
  const socket = connect(port, HOST).setEncoding('latin1')
  socket.write(`${line}\r\nPING\r\n`)
  return new Promise((resolve, reject) => {
    let said = ''
    socket.on('data', (text: string) => {
      said += text
      if (!said.endsWith('+PONG\r\n')) return
      socket.destroy()
      resolve(said)
    })
    socket.on('error', reject).on('close', () => reject(new Error(`port ${String(port)} closed the connection`)))
  })
}
