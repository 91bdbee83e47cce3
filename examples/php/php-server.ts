import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export class PhpMissingError extends Error {}

export interface PhpServer {
  readonly port: number
  /** Aborts when PHP ends by itself. */
  readonly failed: AbortSignal
  stop(): Promise<void>
}

const START_DEADLINE_MS = 10_000

/** php.ini, as far as sessions go: what `npx latchkey doctor --php` advises. */
const settingsFor = (address: string): readonly string[] => [
  'session.save_handler=memcached',
  `session.save_path="${address}"`,
  'session.use_strict_mode=1',
  'session.cookie_httponly=1',
  'memcached.sess_lock_expire=60',
  'memcached.sess_lock_retries=1000',
  'memcached.sess_lock_wait_min=2',
  'memcached.sess_lock_wait_max=20',
]

/** @throws PhpMissingError when PHP, or its extension, is not installed. */
export function checkPhp(): void {
  const { error, stdout } = spawnSync('php', ['-m'], { encoding: 'utf8', timeout: START_DEADLINE_MS })
  if (error !== undefined && 'code' in error && error.code === 'ENOENT') throw new PhpMissingError(missing('PHP', 'php-cli php-memcached'))
  if (error !== undefined) throw error
  if (!/^memcached$/m.test(stdout)) throw new PhpMissingError(missing("PHP's extension memcached", 'php-memcached'))
}

const missing = (what: string, packages: string): string =>
  `this example needs ${what}. Install it: apt-get install ${packages} (Debian, Ubuntu)`

/** PHP's own server with `workers` processes, on a free loopback port. */
export async function startPhp(memcached: string, workers: number, signal: AbortSignal): Promise<PhpServer> {
  checkPhp()
  const settings = settingsFor(memcached).flatMap((setting) => ['-d', setting])
  const script = fileURLToPath(new URL('shop.php', import.meta.url))
  // A shell leads the group, and sees its input end when this process dies, however it dies: then the group ends.
  const guarded = 'php "$@" & read _; kill -9 0'
  const php = spawn('sh', ['-c', guarded, 'sh', ...settings, '-S', '127.0.0.1:0', script], {
    // ctrl-C is for us: PHP is needed until its last request is answered.
    detached: true,
    stdio: ['pipe', 'ignore', 'pipe'],
    env: { ...process.env, PHP_CLI_SERVER_WORKERS: String(workers) },
  })
  const failure = new AbortController()
  const stop = async (): Promise<void> => {
    if (php.exitCode !== null || php.signalCode !== null || php.pid === undefined) return
    const gone = once(php, 'exit')
    process.kill(-php.pid, 'SIGKILL')
    await gone
  }
  php.once('exit', () => {
    failure.abort(new Error('PHP has ended.'))
  })
  php.stdin.on('error', () => undefined)
  try {
    const port = await portIn(php.stderr, AbortSignal.any([signal, failure.signal, AbortSignal.timeout(START_DEADLINE_MS)]))
    return { port, failed: failure.signal, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** "PHP 8.2.36 Development Server (http://127.0.0.1:42897) started", once for each of its processes. */
function portIn(output: NodeJS.ReadableStream, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    let text = ''
    signal.addEventListener('abort', () => reject(new Error(`PHP did not start. ${text.slice(-300)}`, { cause: signal.reason })), { once: true })
    output.on('data', (chunk: Buffer) => {
      // Afterwards it tells of each request; nobody listens, but the pipe must not fill.
      if (text.length < 10_000) text += chunk.toString()
      const [, port] = /Development Server \(http:\/\/127\.0\.0\.1:(\d+)\) started/.exec(text) ?? []
      if (port !== undefined) resolve(Number(port))
    })
  })
}
