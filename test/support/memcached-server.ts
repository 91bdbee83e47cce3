/** A real memcached for tests and benchmarks, on a loopback port of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

export interface MemcachedOptions {
  /**
   * Added to the command line, for example `['-m', '8', '-M']`. An `-I`
   * below 1m needs `-o slab_chunk_max=<half of it>`.
   */
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Whether to listen on a unix socket instead of a port. Default false. */
  readonly unixSocket?: boolean
  /** The port that must be used. Default: a free port. */
  readonly port?: number
  /** The binary. Default: `MEMCACHED_BINARY` of the environment, else `memcached` on PATH. */
  readonly binary?: string
}

const HOST = '127.0.0.1'
const START_DEADLINE_MS = 10_000
const POLL_MS = 2
// The ports are below Linux's ephemeral range, so that while a server is down no outgoing connection can take its port,
// or connect to itself.
const PORTS = { from: 15_000, to: 32_000 }

export class MemcachedServer implements AsyncDisposable {
  readonly host = HOST
  private child: ChildProcess | undefined
  private exited: Promise<void> = Promise.resolve()

  private constructor(
    private readonly options: MemcachedOptions,
    private readonly directory: string,
    /** 0 when the server listens on a unix socket. */
    readonly port: number,
  ) {}

  /** Resolves when the server accepts connections. */
  static async start(options: MemcachedOptions = {}): Promise<MemcachedServer> {
    const directory = mkdtempSync(join(tmpdir(), 'latchkey-memcached-'))
    let failure: unknown
    for (let attempt = 0; attempt < 20; attempt++) {
      const port = options.unixSocket === true ? 0 : (options.port ?? randomInt(PORTS.from, PORTS.to))
      const server = new MemcachedServer(options, directory, port)
      try {
        await server.launch()
        return server
      } catch (error) {
        failure = error
        // Only a port that is in use is worth another try, and only where the port was our choice.
        if (!String(error).includes('in use') || options.port !== undefined) break
      }
    }
    rmSync(directory, { recursive: true, force: true })
    throw failure
  }

  get socketPath(): string {
    return join(this.directory, 'memcached.sock')
  }

  /** The address for a save path: `127.0.0.1:21212`, or the path of the unix socket. */
  get address(): string {
    return this.port === 0 ? this.socketPath : `${HOST}:${this.port}`
  }

  /** The server's process id; undefined while the server is down. */
  get pid(): number | undefined {
    return this.child?.pid
  }

  get running(): boolean {
    return this.child !== undefined
  }

  /** Opens a plain connection; the socket returned is not connected yet. */
  connect(): Socket {
    return this.port === 0 ? connect(this.socketPath) : connect(this.port, HOST)
  }

  /** Ends the process for good, whatever state it is in, and resolves when it has ended. May be called again. */
  async stop(): Promise<void> {
    await this.kill()
    rmSync(this.directory, { recursive: true, force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  /**
   * Kills the process, and resolves when it has ended. SIGTERM takes
   * memcached 0.8 s; SIGKILL is quick, and loses nothing.
   */
  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    this.child?.kill(signal)
    await this.exited
  }

  /** Restarts the server at the same address, with an empty store and CAS numbers from 1. */
  async restart(): Promise<void> {
    await this.kill()
    await this.launch()
  }

  /**
   * Pauses the server by SIGSTOP, and resolves when it stands still. The kernel still accepts connections, but nothing
   * is answered.
   */
  async pause(): Promise<void> {
    this.child?.kill('SIGSTOP')
    await poll('memcached did not stop', () => this.isStopped())
  }

  /** Resumes the server by SIGCONT. It now carries out what was sent in the meantime. */
  resume(): void {
    this.child?.kill('SIGCONT')
  }

  /** Sends `line` on a connection of its own and returns everything the server answers, latin1. */
  async commandText(line: string): Promise<string> {
    const socket = this.connect()
    socket.setEncoding('latin1')
    // The server closes after `quit`, so the answer's end needs no parsing.
    socket.write(`${line}\r\nquit\r\n`, 'latin1')
    let answer = ''
    for await (const chunk of socket) answer += String(chunk)
    return answer
  }

  /** The answer to `stats` or `stats <group>`, by name. */
  async stats(group?: string): Promise<Map<string, string>> {
    const answer = await this.commandText(group === undefined ? 'stats' : `stats ${group}`)
    const found = new Map<string, string>()
    for (const [, name, value] of answer.matchAll(/^STAT (\S+) (.*)\r$/gm)) {
      if (name !== undefined && value !== undefined) found.set(name, value)
    }
    return found
  }

  /** One number of `stats`; throws if there is no number of that name. */
  async stat(name: string): Promise<number> {
    const value = (await this.stats()).get(name)
    if (value === undefined) throw new Error(`memcached has no stat ${name}`)
    return Number(value)
  }

  private async launch(): Promise<void> {
    const ready = join(this.directory, 'port')
    rmSync(ready, { force: true })
    rmSync(this.socketPath, { force: true })
    const listen = this.port === 0 ? ['-s', this.socketPath] : ['-l', HOST, '-p', String(this.port)]
    const asRoot = process.getuid?.() === 0 ? ['-u', 'root'] : []
    const binary = this.options.binary ?? process.env['MEMCACHED_BINARY'] ?? 'memcached'
    const child = spawn(binary, [...asRoot, ...listen, '-U', '0', '-t', '2', ...(this.options.args ?? [])], {
      stdio: ['ignore', 'ignore', 'pipe'],
      // memcached writes this file when every port is bound. No other sign of readiness is certainly this server's, and
      // works with TLS and SASL as well.
      env: { ...process.env, ...this.options.env, MEMCACHED_PORT_FILENAME: ready },
    })
    let complaint = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint = (complaint + text).slice(-2000)))
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
      await poll('memcached did not start', async () => {
        if (this.child !== child) throw new Error(`memcached exited: ${complaint.trim()}`)
        return this.port === 0 ? existsSync(this.socketPath) && (await this.accepts()) : existsSync(ready)
      })
    } catch (error) {
      await this.kill()
      throw error
    }
  }

  private accepts(): Promise<boolean> {
    const socket = this.connect()
    return new Promise((resolve) => {
      const done = (accepted: boolean): void => {
        socket.destroy()
        resolve(accepted)
      }
      socket.once('connect', () => done(true)).once('error', () => done(false))
    })
  }

  private isStopped(): boolean {
    const pid = this.child?.pid
    if (pid === undefined) throw new Error('memcached is not running')
    // A signal may be delivered after kill() has returned. On Linux /proc shows when; elsewhere nothing does.
    if (process.platform !== 'linux') return true
    return /\) T /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  }
}

/** Starts a shell that sees its input close when this process dies, however it dies, and then kills and cleans up. */
export function killWithThisProcess(pid: number | undefined, directory: string): ChildProcess | undefined {
  if (pid === undefined) return undefined
  const cleanUp = ['-c', 'read _; kill -9 "$0"; rm -rf "$1"', String(pid), directory]
  const watchdog = spawn('sh', cleanUp, { stdio: ['pipe', 'ignore', 'ignore'] })
  watchdog.on('error', () => undefined)
  watchdog.unref()
  return watchdog
}

export async function poll(failure: string, done: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + START_DEADLINE_MS
  while (!(await done())) {
    if (performance.now() > deadline) throw new Error(`${failure} within ${START_DEADLINE_MS} ms`)
    await delay(POLL_MS)
  }
}
