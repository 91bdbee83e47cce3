import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { type Program, type Programs, until } from './programs.js'

/** What memcached says of itself, as far as it is looked at here. */
export interface MemcachedFigures {
  /** Seconds of CPU since it was started. */
  readonly cpuSec: number
  /** But for the one that asks. */
  readonly connections: number
}

const UNIT = fileURLToPath(new URL('../../docs/guide/deploying/memcached.conf', import.meta.url))

/** As the guide's unit for systemd has them, for this port and this user. */
function argumentsFor(port: number): string[] {
  const [, line = ''] = /^ExecStart=\S*memcached (.*)$/m.exec(readFileSync(UNIT, 'utf8')) ?? []
  const user = process.getuid?.() === 0 ? '-u root' : ''
  return line.replace(/-u \S+/, user).replace(/-p \d+/, `-p ${String(port)}`).split(' ').filter((word) => word !== '')
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

  async start(signal: AbortSignal): Promise<void> {
    const program = this.programs.start(this.command, argumentsFor(this.port))
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
    // It was killed in the middle of it.
    if (!answer.endsWith('END\r\n')) throw new Error('memcached did not answer.')
    return new Map([...answer.matchAll(/^STAT (\S+) (.*)\r$/gm)].map(([, name = '', value = '']) => [name, value]))
  }
}
