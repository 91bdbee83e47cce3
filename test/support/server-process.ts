/** A real server for tests and benchmarks: a process on a loopback port or a unix socket of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type OwnPort, ownPort } from '../../examples/deployment/ports.js'

/** What every kind of server is asked for. */
export interface ServerOptions {
  /** Added to the command line. */
  readonly args?: readonly string[]
  /** Whether to listen on a unix socket instead of a port. Default false. */
  readonly unixSocket?: boolean
  /** The port that must be used. Default: a free port. */
  readonly port?: number
}

/** Where a server lives. */
export interface Place {
  /** For its files; removed when it is stopped. */
  readonly directory: string
  /** Its port, until the server is stopped; 0 when it listens on a unix socket. */
  readonly own: OwnPort
}

export interface CommandLine {
  readonly binary: string
  readonly args: readonly string[]
  readonly env?: NodeJS.ProcessEnv
}

export const HOST = '127.0.0.1'
const START_DEADLINE_MS = 10_000
/** Much more than a server prints between two looks, so that none misses the line that says that it is ready. */
const SAID_LENGTH = 20_000
const POLL_MS = 2

export abstract class ServerProcess implements AsyncDisposable {
  private child: ChildProcess | undefined
  private exited: Promise<void> = Promise.resolve()
  protected readonly directory: string
  private readonly own: OwnPort
  readonly port: number

  protected constructor(
    private readonly name: string,
    { directory, own }: Place,
  ) {
    this.directory = directory
    this.own = own
    this.port = own.port
  }

  /** Resolves when the server that `make` makes answers. */
  protected static async started<S extends ServerProcess>(name: string, options: ServerOptions, make: (place: Place) => S): Promise<S> {
    const directory = mkdtempSync(join((watchdog ??= new Watchdog()).directory, `${name}-`))
    const given = options.unixSocket === true ? 0 : options.port
    const server = make({ directory, own: given === undefined ? await ownPort() : { port: given, release: () => undefined } })
    try {
      await server.launch()
      return server
    } catch (error) {
      await server.stop()
      throw error
    }
  }

  /** How it is started anew; what an earlier run has left is removed. */
  protected abstract commandLine(): CommandLine

  /** Whether it can be used, soon after it was started. @param said the end of what it has printed. */
  protected abstract isReady(said: string): boolean | Promise<boolean>

  get socketPath(): string {
    return join(this.directory, `${this.name}.sock`)
  }

  /** The address for a save path: `127.0.0.1:21212`, or the path of the unix socket. */
  get address(): string {
    return this.port === 0 ? this.socketPath : `${HOST}:${String(this.port)}`
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
    this.own.release()
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

  /** Restarts the server at the same address, with an empty store, and memcached's CAS numbers from 1. */
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
    await poll(`${this.name} did not stop`, () => this.isStopped())
  }

  /** Resumes the server by SIGCONT. It now carries out what was sent in the meantime. */
  resume(): void {
    this.child?.kill('SIGCONT')
  }

  /** Sends `line` on a connection of its own, then `quit`, and returns everything the server answers, latin1. */
  protected async answerTo(line: string, quit: string): Promise<string> {
    const socket = this.connect()
    socket.setEncoding('latin1')
    // The server closes after that, so the answer's end needs no parsing.
    socket.write(`${line}\r\n${quit}\r\n`, 'latin1')
    let answer = ''
    for await (const chunk of socket) answer += String(chunk)
    return answer
  }

  private async launch(): Promise<void> {
    rmSync(this.socketPath, { force: true })
    const { binary, args, env } = this.commandLine()
    const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'pipe'], ...(env === undefined ? {} : { env }) })
    let complaint = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (complaint = (complaint + text).slice(-SAID_LENGTH)))
    }
    const { pid } = child
    if (pid !== undefined) watchdog?.guard(pid)
    this.child = child
    this.exited = new Promise((resolve) => {
      const gone = (): void => {
        if (pid !== undefined) watchdog?.leave(pid)
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
      await poll(`${this.name} did not start`, async () => {
        if (this.child !== child) throw new Error(`${this.name} exited: ${complaint.trim()}`)
        return this.isReady(complaint)
      })
    } catch (error) {
      await this.kill()
      throw error
    }
  }

  private isStopped(): boolean {
    const { pid } = this
    if (pid === undefined) throw new Error(`${this.name} is not running`)
    // A signal may be delivered after kill() has returned. On Linux /proc shows when; elsewhere nothing does.
    if (process.platform !== 'linux') return true
    return /\) T /.test(readFileSync(`/proc/${String(pid)}/stat`, 'utf8'))
  }
}

/**
 * A shell that sees its input close when this process dies, however it dies. Then it kills the servers that it was told of last,
 * and removes their files. One for all of them: to start another beside each server took as long as the server itself.
 */
class Watchdog {
  readonly directory = mkdtempSync(join(tmpdir(), 'latchkey-servers-'))
  private readonly guarded = new Set<number>()
  private readonly shell: ChildProcess

  constructor() {
    const script = 'pids=; while read -r line; do pids=$line; done; for pid in $pids; do kill -9 "$pid"; done; rm -rf "$0"'
    this.shell = spawn('sh', ['-c', script, this.directory], { stdio: ['pipe', 'ignore', 'ignore'] })
    this.shell.on('error', () => undefined).unref()
    this.shell.stdin?.on('error', () => undefined)
  }

  guard(pid: number): void {
    this.guarded.add(pid)
    this.tell()
  }

  leave(pid: number): void {
    this.guarded.delete(pid)
    this.tell()
  }

  private tell(): void {
    this.shell.stdin?.write(`${[...this.guarded].join(' ')}\n`)
  }
}

let watchdog: Watchdog | undefined

async function poll(failure: string, done: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + START_DEADLINE_MS
  while (!(await done())) {
    if (performance.now() > deadline) throw new Error(`${failure} within ${String(START_DEADLINE_MS)} ms`)
    await delay(POLL_MS)
  }
}
