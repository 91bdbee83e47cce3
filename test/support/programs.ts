/** Programs of tests as JavaScript, which starts five times as fast as through tsx. */
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { FOR_NODE } from './for-node.js'
import { isAlive } from './is-alive.js'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const { devDependencies, peerDependencies } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as Record<'devDependencies' | 'peerDependencies', object>
const PROGRAMS = join(ROOT, '.cache/programs')
/** Tells the workers where the programs of this run of the tests are. */
const OF_THIS_RUN = 'LATCHKEY_TEST_PROGRAMS'
const programsOfThisRun = (): string => process.env[OF_THIS_RUN] ?? PROGRAMS

/** Called by vitest before its workers are started. Each run has a directory of its own: another one at the same time would lose its programs. */
export function setup(): void {
  mkdirSync(PROGRAMS, { recursive: true })
  // What was left behind by one that was killed.
  for (const pid of readdirSync(PROGRAMS)) if (!isAlive(Number(pid))) rmSync(join(PROGRAMS, pid), { recursive: true, force: true })
  process.env[OF_THIS_RUN] = join(PROGRAMS, String(process.pid))
}

/** Called by vitest when all tests have ended: its workers are ended without a word, and could not do it. */
export function teardown(): void {
  rmSync(programsOfThisRun(), { recursive: true, force: true })
}

const built = new Map<string, Promise<string>>()

/** The file of a program, which `make` builds into a directory of its own: once for each worker of the tests. */
function once(program: string, make: (outdir: string) => Promise<string>): Promise<string> {
  const known = built.get(program) ?? make(join(programsOfThisRun(), String(process.pid), String(built.size)))
  built.set(program, known)
  return known
}

/** The program whose source `entry` is, as one file. `others` are beside it, for programs that it starts itself. */
export const builtProgram = (entry: string, ...others: readonly string[]): Promise<string> =>
  once(entry, async (outdir) => {
    await buildPrograms([entry, ...others], outdir)
    return join(outdir, basename(entry).replace(/\.[cm]?[jt]s$/, '.mjs'))
  })

/** A program that stands in a test. Its imports are as from the project's own directory. */
export const builtCode = (code: string): Promise<string> =>
  once(code, async (outdir) => {
    const outfile = join(outdir, 'program.mjs')
    await build({ ...STARTED, stdin: { contents: code, resolveDir: ROOT, loader: 'ts' }, outfile })
    return outfile
  })

/** Packages that are in the file as well: to find and load their many files takes as long as all the rest of a start. */
const INSIDE = ['cookie', 'cookie-signature', 'debug', 'express', 'express-session', 'generic-pool', 'memjs', 'secure-json-parse']

const STARTED = {
  ...FOR_NODE,
  external: ['file:*', ...Object.keys({ ...devDependencies, ...peerDependencies }).filter((name) => !INSIDE.includes(name))],
}

/** Builds each entry as a file of the same name in `outdir`; what they share is a file of its own. */
export async function buildPrograms(entryPoints: readonly string[], outdir: string): Promise<void> {
  await build({ ...STARTED, entryPoints: [...entryPoints], outdir, outExtension: { '.js': '.mjs' }, loader: { '.php': 'copy' }, splitting: true })
}
