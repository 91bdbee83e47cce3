/** A real redis-server for tests and benchmarks, on a loopback port of its own. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { killWithThisProcess, poll } from './memcached-server.js'

export interface RedisOptions {
  /** Added to the command line: `['--maxmemory', '8mb']`. */
  readonly args?: readonly string[]
  /** Whether to listen on a unix socket instead of a port. Default false. */
  readonly unixSocket?: boolean
}

const HOST = '127.0.0.1'
const BINARY = process.env['REDIS_BINARY'] ?? 'redis-server'
// Below Linux's ephemeral range, so that while a server is down no outgoing connection can take its port.
const PORTS = { from: 15_000, to: 32_000 }

/** Whether there is a redis-server on this machine. */
export const hasRedis = spawnSync(BINARY, ['--version']).status === 0

export class RedisProcess implements AsyncDisposable {
  private child: ChildProcess | undefined
  private exited: Promise<void> = Promise.resolve()

  private constructor(
    private readonly options: RedisOptions,
    private readonly directory: string,
    /** 0 when the server listens on a unix socket. */
    readonly port: number,
  ) {}

  /** Resolves when the server answers. */
  static async start(options: RedisOptions = {}): Promise<RedisProcess> {
    const directory = mkdtempSync(join(tmpdir(), 'latchkey-redis-'))
    let failure: unknown
    for (let attempt = 0; attempt < 20; attempt++) {
      const port = options.unixSocket === true ? 0 : randomInt(PORTS.from, PORTS.to)
      const server = new RedisProcess(options, directory, port)
      try {
        await server.launch()
        return server
      } catch (error) {
        failure = error
        if (!String(error).includes('in use')) break
      }
    }
    rmSync(directory, { recursive: true, force: true })
    throw failure
  }

  get socketPath(): string {
    return join(this.directory, 'redis.sock')
  }

  /** The address of a proxy's server: `127.0.0.1:21212`, or the path of the unix socket. */
  get address(): string {
    return this.port === 0 ? this.socketPath : `${HOST}:${this.port}`
  }

  get savePath(): string {
    return this.port === 0 ? `redis+unix://${this.socketPath}` : `redis://${this.address}`
  }

  connect(): Socket {
    return this.port === 0 ? connect(this.socketPath) : connect(this.port, HOST)
  }

  get running(): boolean {
    return this.child !== undefined
  }

  /** Ends the process for good, whatever state it is in. May be called again. */
  async stop(): Promise<void> {
    await this.kill()
    rmSync(this.directory, { recursive: true, force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  async kill(): Promise<void> {
    this.child?.kill('SIGKILL')
    await this.exited
  }

  /** Restarts the server at the same address, with an empty store. */
  async restart(): Promise<void> {
    await this.kill()
    await this.launch()
  }

  /** Pauses the server by SIGSTOP, and resolves when it stands still. */
  async pause(): Promise<void> {
    this.child?.kill('SIGSTOP')
    const pid = this.child?.pid
    await poll('redis-server did not stop', () => process.platform !== 'linux' || /\) T /.test(readFileSync(`/proc/${String(pid)}/stat`, 'utf8')))
  }

  resume(): void {
    this.child?.kill('SIGCONT')
  }

  /** Sends an inline command on a connection of its own, and returns all that the server answers. */
  async command(line: string): Promise<string> {
    const socket = this.connect()
    socket.setEncoding('utf8')
    socket.write(`${line}\r\nQUIT\r\n`)
    let answer = ''
    for await (const chunk of socket) answer += String(chunk)
    return answer.replace(/\+OK\r\n$/, '').trimEnd()
  }

  /** Sends a command to a server that may not answer, or not yet. */
  private async answers(): Promise<boolean> {
    try {
      return /PONG|NOAUTH|LOADING/.test(await this.command('PING'))
    } catch {
      return false
    }
  }

  private async launch(): Promise<void> {
    rmSync(this.socketPath, { force: true })
    const listen = this.port === 0 ? ['--port', '0', '--unixsocket', this.socketPath] : ['--port', String(this.port), '--bind', HOST]
    const own = ['--save', '', '--appendonly', 'no', '--dir', this.directory, '--daemonize', 'no']
    const child = spawn(BINARY, [...listen, ...own, ...(this.options.args ?? [])], { stdio: ['ignore', 'pipe', 'pipe'] })
    let complaint = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (complaint = (complaint + text).slice(-2000)))
    }
    const watchdog = killWithThisProcess(child.pid, this.directory)
    this.child = child
    this.exited = new Promise((resolve) => {
      const gone = (): void => {
        watchdog?.kill('SIGKILL')
        if (this.child === child) this.child = undefined
        resolve()
      }
      child.once('close', gone)
      child.once('error', (error) => {
        complaint += error.message
        gone()
      })
    })
    try {
      await poll('redis-server did not start', async () => {
        if (this.child !== child) throw new Error(`redis-server exited: ${complaint.trim()}`)
        return this.answers()
      })
    } catch (error) {
      await this.kill()
      throw error
    }
  }
}
