import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const BENCH = fileURLToPath(new URL('..', import.meta.url))

/** The peers are a package of their own, so that nobody who installs or tests latchkey downloads them. */
export function requirePeers(): void {
  if (existsSync(`${BENCH}/node_modules/connect-redis`)) return
  console.error('Installing the peers that latchkey is compared with (bench/package.json) …')
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: BENCH, stdio: ['ignore', 2, 2] })
  if (status !== 0) throw new Error('npm ci in bench/ failed: the peers could not be installed.')
}
