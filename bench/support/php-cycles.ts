/** Processes of PHP that load, change and save sessions, as many as they can. */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createInterface, type Interface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'

const SCRIPT = fileURLToPath(new URL('../processes/php-cycles.php', import.meta.url))

export const whyNoPhp = (): string | undefined => (spawnSync('php', ['-v']).status === 0 ? undefined : 'php is not installed')

interface PhpProcess {
  readonly child: ChildProcessByStdio<Writable, Readable, null>
  readonly lines: Interface
}

export class PhpCycles {
  private constructor(
    readonly name: string,
    private readonly processes: readonly PhpProcess[],
  ) {}

  static async start(name: string, handler: 'files' | 'memcached', savePath: string, count: number): Promise<PhpCycles> {
    const processes = Array.from({ length: count }, () => {
      const child = spawn('php', [SCRIPT, savePath, handler], { stdio: ['pipe', 'pipe', 'ignore'] })
      process.once('exit', () => child.kill('SIGKILL'))
      return { child, lines: createInterface({ input: child.stdout }) }
    })
    await Promise.all(processes.map(({ lines }) => once(lines, 'line')))
    return new PhpCycles(name, processes)
  }

  /** A process of PHP has one request at a time. */
  async load(at: number, load: { readonly first: number; readonly sessions: number; readonly forMs: number }): Promise<{ cyclesPerSecond: number; p50Ms: number; p99Ms: number }> {
    const one = this.processes[at]
    if (one === undefined) throw new RangeError(`there is no process ${String(at)}`)
    const answer = once(one.lines, 'line')
    one.child.stdin.write(`${String(load.first)} ${String(load.sessions)} ${String(load.forMs)}\n`)
    const [line]: unknown[] = await answer
    const [cyclesPerSecond = NaN, p50Ms = NaN, p99Ms = NaN] = String(line).split(' ').map(Number)
    return { cyclesPerSecond, p50Ms, p99Ms }
  }

  stop(): void {
    for (const { child } of this.processes) child.kill('SIGKILL')
  }
}
