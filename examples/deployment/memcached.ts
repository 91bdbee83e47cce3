import { once } from 'node:events'
import { connect } from 'node:net'
import { type Program, type Programs, until } from './programs.js'

/** What memcached says of itself, as far as it is looked at here. */
export interface MemcachedFigures {
  /** Seconds of CPU since it was started. */
  readonly cpuSec: number
  /** But for the one that asks. */
  readonly connections: number
}

/** One memcached, which can be killed and come back under its old address. */
export class Memcached {
  private program: Program | undefined
  /** Connections that it counts when nobody is connected: it counts what it listens on. */
  private own = 0

  constructor(
    private readonly programs: Programs,
    private readonly command: string,
    private readonly port: number,
  ) {}

  get address(): string {
    return `127.0.0.1:${String(this.port)}`
  }

  /** Started as docs/guide/deploying/memcached.conf says. */
  async start(signal: AbortSignal): Promise<void> {
    const asRoot = process.getuid?.() === 0 ? ['-u', 'root'] : []
    const args = [...asRoot, '-l', '127.0.0.1', '-p', String(this.port), '-U', '0', '-m', '256', '-c', '4096', '-o', 'temporary_ttl=61']
    const program = this.programs.start(this.command, args)
    this.program = program
    await until('memcached did not start', () => this.hasStarted(), { program, signal })
  }

  private async hasStarted(): Promise<boolean> {
    try {
      this.own = Number((await this.stats()).get('curr_connections'))
      return true
    } catch {
      return false
    }
  }

  async kill(): Promise<void> {
    this.program?.signal('SIGKILL')
    await this.program?.ended
  }

  async figures(): Promise<MemcachedFigures> {
    const stats = await this.stats()
    const number = (name: string): number => Number(stats.get(name))
    return { cpuSec: number('rusage_user') + number('rusage_system'), connections: number('curr_connections') - this.own }
  }

  /** On a connection of its own. */
  private async stats(): Promise<Map<string, string>> {
    const socket = connect(this.port, '127.0.0.1')
    await once(socket, 'connect')
    socket.setEncoding('latin1').write('stats\r\nquit\r\n')
    let answer = ''
    for await (const chunk of socket) answer += String(chunk)
    return new Map([...answer.matchAll(/^STAT (\S+) (.*)\r$/gm)].map(([, name = '', value = '']) => [name, value]))
  }
}
