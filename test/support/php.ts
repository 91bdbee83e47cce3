/** Real PHP for tests: php-cli with the extensions memcached and memcache. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Counted, CountJob } from './session-process.js'

/** Settings of php.ini, by name. */
export type Ini = Readonly<Record<string, string | number>>

const NEEDED = 'PHP is needed for this test (apt-get install php-cli php-memcached php-memcache)'
const LIVE = new URL('../php/live/', import.meta.url)

/** No cookies and no headers; errors go to standard error. */
const PLAIN: Ini = {
  'display_errors': 'stderr',
  'html_errors': 0,
  'session.use_cookies': 0,
  'session.use_only_cookies': 0,
  'session.cache_limiter': '',
  'session.gc_probability': 0,
}

/** The sessions of PHP on these servers, with settings under which a busy session can be shared. */
export const iniOf = (ports: readonly number[], extension: 'memcached' | 'memcache' = 'memcached'): Ini => ({
  'session.save_handler': extension,
  'session.save_path': ports.map((port) => (extension === 'memcached' ? '' : 'tcp://') + `127.0.0.1:${String(port)}`).join(','),
  'session.serialize_handler': 'php',
  'memcached.sess_lock_expire': 30,
  'memcached.sess_lock_wait_min': 2,
  'memcached.sess_lock_wait_max': 20,
  'memcached.sess_lock_retries': 1000,
  'memcached.sess_number_of_replicas': 0,
})

const flagsOf = (ini: Ini): string[] => Object.entries({ ...PLAIN, ...ini }).flatMap(([name, value]) => ['-d', `${name}=${String(value)}`])

/** While it runs nothing else does, the test's own timer included. */
const MOST_MS = 60_000

/** Runs a script of PHP to its end; what it wrote. It is never skipped: who has no PHP is told how to get it. */
export function runPhp(script: string, args: readonly string[] = [], { ini = {}, input = '' }: { readonly ini?: Ini; readonly input?: string } = {}): string {
  const { status, stdout, stderr, error } = spawnSync('php', [...flagsOf(ini), fileURLToPath(new URL(script, LIVE)), ...args], { input, maxBuffer: 1e9, encoding: 'utf8', timeout: MOST_MS })
  if (error !== undefined || status !== 0) throw new Error(`${NEEDED}: ${String(error ?? stderr + stdout)}`)
  return stdout
}

/** As `runPhp`, beside others. */
export class PhpProcess {
  private readonly ended: Promise<unknown>
  private stdout = ''
  private stderr = ''

  private constructor(private readonly child: ChildProcess) {
    child.stdout?.on('data', (chunk: Buffer) => (this.stdout += String(chunk)))
    child.stderr?.on('data', (chunk: Buffer) => (this.stderr += String(chunk)))
    this.ended = once(child, 'close')
    alive.add(child)
    child.once('exit', () => alive.delete(child))
  }

  static start(script: string, args: readonly string[], ini: Ini): PhpProcess {
    return new PhpProcess(spawn('php', [...flagsOf(ini), fileURLToPath(new URL(script, LIVE)), ...args], { stdio: ['ignore', 'pipe', 'pipe'] }))
  }

  static count(job: Omit<CountJob, 'atOnce'>, ini: Ini): PhpProcess {
    return PhpProcess.start('count.php', [JSON.stringify(job)], ini)
  }

  /** What it has written so far. */
  get output(): string {
    return this.stdout
  }

  /** Its last word, as JSON. */
  async counted(): Promise<Counted> {
    await this.ended
    if (this.child.exitCode !== 0) throw new Error(`${NEEDED}: ${this.stderr}${this.stdout}`)
    return JSON.parse(this.stdout) as Counted
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.ended
  }
}

const alive = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

/** All increments that were acknowledged, by session; and of each of the workers. */
export function totalOf(workers: readonly Counted[]): Record<string, number> {
  const total: Record<string, number> = {}
  for (const { counts } of workers) for (const [id, count] of Object.entries(counts)) total[id] = (total[id] ?? 0) + count
  return total
}

export const sumOf = ({ counts }: Counted): number => Object.values(counts).reduce((sum, count) => sum + count, 0)
