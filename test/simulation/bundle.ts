import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'esbuild'
import { FOR_NODE } from '../support/for-node.js'
import type { Mutant } from './mutants.js'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/**
 * Bundles a program and the shipped code into one file, after `mutant` has changed the shipped code's source text.
 *
 * @throws when a text to be replaced does not stand in the sources exactly once: then the mutant is out of date.
 */
export async function bundleOf(entry: string, outfile: string, mutant?: Mutant): Promise<void> {
  const changed = mutant === undefined ? new Map<string, string>() : await weaken(mutant)
  await build({ ...FOR_NODE, entryPoints: [entry], outfile, plugins: [substitute(changed)] })
}

/** Lends the bundle of a program to `work`, as a file that is removed after it. @throws as `bundleOf` does. */
export async function withBundle<Outcome>(entry: URL, mutant: Mutant | undefined, work: (file: string) => Promise<Outcome>): Promise<Outcome> {
  const folder = await mkdtemp(join(tmpdir(), 'latchkey-simulate-'))
  try {
    const file = join(folder, 'bundle.mjs')
    await bundleOf(fileURLToPath(entry), file, mutant)
    return await work(file)
  } finally {
    await rm(folder, { recursive: true })
  }
}

const substitute = (changed: ReadonlyMap<string, string>): Plugin => ({
  name: 'mutant',
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const contents = changed.get(path)
      return contents === undefined ? undefined : { contents, loader: 'ts' }
    })
  },
})

/** The source files that `mutant` changes, by their paths, with their new text. @throws as `bundleOf` does. */
export async function weaken({ name, edits }: Mutant): Promise<Map<string, string>> {
  const sources = await (read ??= readSources())
  const changed = new Map<string, string>()
  for (const { find, replace } of edits) {
    const places = [...sources].flatMap(([path, text]) => text.split(find).slice(1).map(() => path))
    const [path] = places
    if (path === undefined || places.length > 1) {
      throw new Error(`Mutant ${name}: its text stands ${String(places.length)} times in src:\n${find}`)
    }
    changed.set(path, (changed.get(path) ?? sources.get(path) ?? '').replace(find, () => replace))
  }
  return changed
}

/** Some hundred files, for every mutant the same. */
let read: Promise<Map<string, string>> | undefined

async function readSources(): Promise<Map<string, string>> {
  const folders = [`${ROOT}src`, `${ROOT}test/simulation/simulated`]
  const entries = (await Promise.all(folders.map((folder) => readdir(folder, { recursive: true, withFileTypes: true })))).flat()
  const paths = entries.filter((entry) => entry.name.endsWith('.ts')).map((entry) => join(entry.parentPath, entry.name))
  return new Map(await Promise.all(paths.map(async (path): Promise<[string, string]> => [path, await readFile(path, 'utf8')])))
}
