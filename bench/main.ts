/** `npm run bench`: installs the contenders on first use, builds latchkey, runs the rows. */
import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { optionsOf, USAGE } from './options.js'

const HERE = fileURLToPath(new URL('.', import.meta.url))
const ROOT = join(HERE, '..')

function run(about: string, args: readonly string[], cwd: string): void {
  console.error(about)
  // stdout is for the results.
  const { status } = spawnSync('npm', args, { cwd, stdio: ['ignore', 2, 2] })
  if (status !== 0) throw new Error(`npm ${args.join(' ')} in ${cwd} failed`)
}

function isOlder(file: string, than: string): boolean {
  return !existsSync(file) || statSync(file).mtimeMs < statSync(than).mtimeMs
}

function prepare(): void {
  if (isOlder(join(HERE, 'node_modules/.package-lock.json'), join(HERE, 'package-lock.json'))) {
    run('First run: installing the contenders in bench/ (npm ci) ...', ['ci', '--no-audit', '--no-fund'], HERE)
  }
  if (process.env['LATCHKEY_DIST'] === undefined) run('Building latchkey ...', ['run', '--silent', 'build'], ROOT)
}

let options
try {
  options = optionsOf(process.argv.slice(2))
} catch (error) {
  console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`)
  process.exit(2)
}
prepare()
const { runRows } = await import('./run.js')
const isComplete = await runRows(options)
// Peers leave sockets and timers behind.
process.exit(isComplete ? 0 : 1)
