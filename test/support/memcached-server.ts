/** A real memcached for tests and benchmarks, on a loopback port of its own. */
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type CommandLine, HOST, type Place, type ServerOptions, ServerProcess } from './server-process.js'

/** `args`: for example `['-m', '8', '-M']`. An `-I` below 1m needs `-o slab_chunk_max=<half of it>`. */
export interface MemcachedOptions extends ServerOptions {
  readonly env?: Readonly<Record<string, string>>
  /** The binary. Default: `MEMCACHED_BINARY` of the environment, else `memcached` on PATH. */
  readonly binary?: string
}

export class MemcachedServer extends ServerProcess {
  readonly host = HOST

  private constructor(
    private readonly options: MemcachedOptions,
    place: Place,
  ) {
    super('memcached', place)
  }

  /** Resolves when the server accepts connections. */
  static start(options: MemcachedOptions = {}): Promise<MemcachedServer> {
    return ServerProcess.started('memcached', options, (place) => new MemcachedServer(options, place))
  }

  /** Sends `line` on a connection of its own and returns everything the server answers, latin1. */
  commandText(line: string): Promise<string> {
    return this.answerTo(line, 'quit')
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

  protected commandLine(): CommandLine {
    const { args = [], binary = process.env['MEMCACHED_BINARY'] ?? 'memcached', env } = this.options
    rmSync(this.readyFile, { force: true })
    const listen = this.port === 0 ? ['-s', this.socketPath] : ['-l', HOST, '-p', String(this.port)]
    const asRoot = process.getuid?.() === 0 ? ['-u', 'root'] : []
    return {
      binary,
      args: [...asRoot, ...listen, '-U', '0', '-t', '2', ...args],
      env: { ...process.env, ...env, MEMCACHED_PORT_FILENAME: this.readyFile },
    }
  }

  protected async isReady(): Promise<boolean> {
    return this.port === 0 ? existsSync(this.socketPath) && (await this.accepts()) : existsSync(this.readyFile)
  }

  /**
   * memcached writes this file when every port is bound. No other sign of readiness is certainly this server's, and works
   * with TLS and SASL as well.
   */
  private get readyFile(): string {
    return join(this.directory, 'port')
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
}
