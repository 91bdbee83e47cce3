import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

export interface OwnMemcached {
  /** host:port */
  readonly address: string
  /** As if its machine stood still, until 'SIGCONT'. */
  signal(name: 'SIGSTOP' | 'SIGCONT'): void
  /** Kills it. Resolves when it is gone. */
  stop(): Promise<void>
}

export class MemcachedMissingError extends Error {}

const HOST = '127.0.0.1'
const START_DEADLINE_MS = 5000

/**
 * Starts memcached on loopback.
 *
 * @param wanted port; default: the kernel chooses a free one
 * @throws MemcachedMissingError when no such program is installed.
 */
export async function startMemcached(signal: AbortSignal, wanted?: number): Promise<OwnMemcached> {
  const directory = mkdtempSync(join(tmpdir(), 'latchkey-example-'))
  const portFile = join(directory, 'port')
  const asRoot = process.getuid?.() === 0 ? ['-u', 'root'] : []
  // Port -1: the kernel chooses one. Detached: ctrl-C is for us, memcached is needed until the workers have ended.
  const memcached = spawn('memcached', [...asRoot, '-l', HOST, '-p', String(wanted ?? -1), '-U', '0'], {
    detached: true,
    stdio: 'ignore',
    env: { ...process.env, MEMCACHED_PORT_FILENAME: portFile },
  })
  let problem: Error | undefined
  memcached.on('error', (error) => (problem = error))
  memcached.on('exit', (code) => (problem ??= new Error(`memcached ended with exit code ${String(code)}.`)))
  const watchdog = endWithThisProcess(memcached, directory)
  const stop = async (): Promise<void> => {
    watchdog?.kill('SIGKILL')
    if (memcached.pid !== undefined && memcached.exitCode === null && memcached.signalCode === null) {
      const gone = once(memcached, 'exit')
      memcached.kill('SIGKILL')
      await gone
    }
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    const deadline = performance.now() + START_DEADLINE_MS
    while (!existsSync(portFile)) {
      await delay(5, undefined, { signal })
      if (problem !== undefined) throw missingOr(problem)
      if (performance.now() > deadline) throw new Error(`memcached did not start within ${String(START_DEADLINE_MS)} ms.`)
    }
    const port = /TCP INET: (\d+)/.exec(readFileSync(portFile, 'utf8'))?.[1]
    if (port === undefined) throw new Error('memcached did not say on which port it listens.')
    return { address: `${HOST}:${port}`, signal: (name) => void memcached.kill(name), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function missingOr(problem: Error): Error {
  if (!('code' in problem) || problem.code !== 'ENOENT') return problem
  return new MemcachedMissingError(
    'this example needs memcached. Install it (apt-get install memcached), or set MEMCACHE_SERVERS=host:port.',
  )
}

/** A shell that sees its input end when this process dies, however it dies, and then ends memcached and tidies up. */
function endWithThisProcess({ pid }: ChildProcess, directory: string): ChildProcess | undefined {
  if (pid === undefined) return undefined
  const watchdog = spawn('sh', ['-c', 'read _; kill -9 "$0"; rm -rf "$1"', String(pid), directory], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  watchdog.on('error', () => undefined)
  watchdog.unref()
  return watchdog
}
