/** Real PHP for tests: php-cli with the extensions memcached and memcache. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Runs a script of PHP to its end; what it wrote. It is never skipped: who has no PHP is told how to get it. */
export function runPhp(script: string | URL, args: readonly string[] = [], input = ''): string {
  const { status, stdout, stderr, error } = spawnSync('php', [...FLAGS, pathOf(script), ...args], { input, maxBuffer: 1e9, encoding: 'utf8' })
  if (error !== undefined || status !== 0) throw new Error(`${NEEDED}: ${String(error ?? stderr + stdout)}`)
  return stdout
}

export function startPhp(script: string | URL, args: readonly string[]): ChildProcess {
  return spawn('php', [...FLAGS, pathOf(script), ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
}

const FLAGS = ['-d', 'display_errors=stderr', '-d', 'error_reporting=-1', '-d', 'html_errors=0']
const NEEDED = 'PHP is needed for this test (apt-get install php-cli php-memcached php-memcache)'
const pathOf = (script: string | URL): string => (typeof script === 'string' ? script : fileURLToPath(script))
