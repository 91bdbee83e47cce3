import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Program, type Programs, runToEnd, until } from './programs.js'

/** The file that the guide to deploying gives, with the ports of this run. */
const CONFIGURATION = fileURLToPath(new URL('../../docs/guide/deploying/nginx.conf', import.meta.url))
const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']

/** nginx in front of the processes, and which of them it is to pass over. */
export class Nginx {
  private program: Program | undefined
  private down: ReadonlySet<number> = new Set()
  private reloading: Promise<void> = Promise.resolve()

  constructor(
    private readonly programs: Programs,
    private readonly command: string,
    private readonly port: number,
    private readonly backs: readonly number[],
  ) {}

  get address(): string {
    return `127.0.0.1:${String(this.port)}`
  }

  get url(): string {
    return `http://${this.address}`
  }

  async start(signal: AbortSignal): Promise<void> {
    this.write()
    await runToEnd(this.programs, this.command, [...this.options, '-t', '-q'])
    const program = this.programs.start(this.command, this.options)
    this.program = program
    const answers = (): Promise<boolean> => fetch(`${this.url}/livez`).then(({ ok }) => ok, () => false)
    await until('nginx did not start', answers, { program, signal })
  }

  /** Sends requests to all processes but these, from now on. Resolves when nobody is served by the old configuration any more. */
  passOver(down: ReadonlySet<number>): Promise<void> {
    this.down = down
    return this.reload()
  }

  /** Reads the configuration anew. Every worker that has the old one answers what it was sent, and ends. */
  reload(): Promise<void> {
    this.reloading = this.reloading.catch(() => undefined).then(() => this.reloadNow())
    return this.reloading
  }

  /** Resolves when no reload is under way. */
  settled(): Promise<void> {
    return this.reloading
  }

  private async reloadNow(): Promise<void> {
    this.write()
    const old = childrenOf(this.program?.pid ?? 0)
    await runToEnd(this.programs, this.command, [...this.options, '-s', 'reload'])
    while (childrenOf(this.program?.pid ?? 0).some((pid) => old.includes(pid))) await sleep(20)
  }

  private get options(): string[] {
    const { directory } = this.programs
    return ['-p', directory, '-e', 'stderr', '-c', join(directory, 'nginx.conf'), '-g', `daemon off; pid ${directory}/nginx.pid;`]
  }

  private write(): void {
    const { directory } = this.programs
    const withFront = readFileSync(CONFIGURATION, 'utf8').replace('listen 8080', `listen ${this.address}`)
    const withBacks = this.backs.reduce((text, port, at) => {
      const line = new RegExp(`server 127\\.0\\.0\\.1:300${String(at + 1)} (.*);`)
      return text.replace(line, `server 127.0.0.1:${String(port)} $1${this.down.has(port) ? ' down' : ''};`)
    }, withFront)
    // Nothing outside of this directory is written to, so that any user can run it.
    const here = ['access_log off;', ...TEMPORARY.map((name) => `${name}_temp_path ${directory}/${name};`)]
    writeFileSync(join(directory, 'nginx.conf'), withBacks.replace('http {', `http {\n  ${here.join('\n  ')}`))
  }
}

/** nginx's workers. Without /proc nobody waits for them. */
function childrenOf(pid: number): string[] {
  const file = `/proc/${String(pid)}/task/${String(pid)}/children`
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split(' ') : []
}
