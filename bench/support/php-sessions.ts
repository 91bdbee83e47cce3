/** A process of PHP with sessions on memcached, told line by line to take one and to free it. */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createInterface, type Interface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { MemcachedServer } from '../../test/support/memcached-server.js'

const SCRIPT = fileURLToPath(new URL('../processes/php-session.php', import.meta.url))

/** PHP or its extension, where one is not installed. */
export function whatIsMissing(): string | undefined {
  const { status, stdout } = spawnSync('php', ['-m'], { encoding: 'utf8' })
  if (status !== 0) return 'php'
  return /^memcached$/m.test(stdout) ? undefined : 'php-memcached'
}

export class PhpSessions {
  private constructor(
    private readonly child: ChildProcessByStdio<Writable, Readable, null>,
    private readonly lines: Interface,
  ) {}

  static async start(server: MemcachedServer, settings: readonly string[]): Promise<PhpSessions> {
    const flags = settings.flatMap((setting) => ['-d', setting])
    const child = spawn('php', [...flags, SCRIPT, server.address], { stdio: ['pipe', 'pipe', 'ignore'] })
    process.once('exit', () => child.kill('SIGKILL'))
    const lines = createInterface({ input: child.stdout })
    await once(lines, 'line')
    return new PhpSessions(child, lines)
  }

  /** Resolves with the words of its answer. */
  async tell(command: string): Promise<string[]> {
    this.child.stdin.write(`${command}\n`)
    const [line]: unknown[] = await once(this.lines, 'line')
    return String(line).split(' ')
  }

  stop(): void {
    this.child.kill('SIGKILL')
  }
}
