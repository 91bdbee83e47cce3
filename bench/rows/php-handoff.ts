/** php-memcached beside latchkey in `handoff`: its defaults, and its shortest waits. */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createInterface, type Interface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { MemcachedServer } from '../../test/support/memcached-server.js'
import type { RowContext } from '../support/result.js'

export interface Delays {
  readonly holdMs: number
  readonly delaysMs: readonly number[]
  /** How many waiters gave up, where any can. */
  readonly failed?: number
}

export interface PhpHandoffs {
  readonly kinds: readonly { readonly name: string; readonly delays: readonly Delays[]; readonly pollsPerSecond: number }[]
  readonly notes: readonly string[]
}

const SCRIPT = fileURLToPath(new URL('../processes/php-session.php', import.meta.url))
const KINDS = [
  { name: 'php-memcached, defaults', settings: [] },
  {
    name: 'php-memcached, shortest waits',
    settings: ['memcached.sess_lock_wait_min=1', 'memcached.sess_lock_wait_max=1', 'memcached.sess_lock_retries=100000'],
  },
]
const HOLDS = [5, 100, 500]
const QUICK_HOLDS = [5, 100]
const POLLED_MS = 600

/** Empty, with a note that says why, where PHP or its extension is not installed. */
export async function phpHandoffs({ quick, progress }: RowContext): Promise<PhpHandoffs> {
  const missing = whatIsMissing()
  if (missing !== undefined) return { kinds: [], notes: [`${missing} is not installed: no row for php-memcached`] }
  await using server = await MemcachedServer.start()
  const kinds = []
  for (const { name, settings } of KINDS) {
    progress(name)
    const [one, other] = await Promise.all([Php.start(server, settings), Php.start(server, settings)])
    const delays: Delays[] = []
    for (const holdMs of quick ? QUICK_HOLDS : HOLDS) {
      delays.push(await exchange(one, other, holdMs, Math.ceil((quick ? 500 : 10_000) / (holdMs + 75))))
    }
    kinds.push({ name, delays, pollsPerSecond: await countPolls(server, one, other) })
    one.stop()
    other.stop()
  }
  return { kinds, notes: [] }
}

function whatIsMissing(): string | undefined {
  const { status, stdout } = spawnSync('php', ['-m'], { encoding: 'utf8' })
  if (status !== 0) return 'php'
  return /^memcached$/m.test(stdout) ? undefined : 'php-memcached'
}

class Php {
  private constructor(
    private readonly child: ChildProcessByStdio<Writable, Readable, null>,
    private readonly lines: Interface,
  ) {}

  static async start(server: MemcachedServer, settings: readonly string[]): Promise<Php> {
    const flags = settings.flatMap((setting) => ['-d', setting])
    const child = spawn('php', [...flags, SCRIPT, server.address], { stdio: ['pipe', 'pipe', 'ignore'] })
    process.once('exit', () => child.kill('SIGKILL'))
    const lines = createInterface({ input: child.stdout })
    await once(lines, 'line')
    return new Php(child, lines)
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

async function exchange(one: Php, other: Php, holdMs: number, times: number): Promise<Delays> {
  const id = `h${String(holdMs)}`
  const delaysMs: number[] = []
  let failed = 0
  let [holder, waiter] = [one, other]
  await holder.tell(`take ${id}`)
  for (let time = 0; time < times; time++) {
    const released = holder.tell(`free ${String(holdMs)}`)
    const [word, came, taken] = await waiter.tell(`take ${id}`)
    const [, freed] = await released
    if (word === 'taken') {
      delaysMs.push(Number(taken) - Math.max(Number(freed), Number(came)))
      ;[holder, waiter] = [waiter, holder]
    } else {
      failed++
      await holder.tell(`take ${id}`)
    }
  }
  await holder.tell('free 0')
  return { holdMs, delaysMs, failed }
}

/** What memcached counts while one waits, but for the one command of freeing. */
async function countPolls(server: MemcachedServer, one: Php, other: Php): Promise<number> {
  await one.tell('take polled')
  const sent = async (): Promise<number> => (await server.stat('cmd_set')) + (await server.stat('cmd_get'))
  const before = await sent()
  const released = one.tell(`free ${String(POLLED_MS)}`)
  const taken = other.tell('take polled')
  await new Promise((resolve) => setTimeout(resolve, POLLED_MS * 0.9))
  const after = await sent()
  await Promise.all([released, taken])
  await other.tell('free 0')
  return (after - before) / ((POLLED_MS * 0.9) / 1000)
}
