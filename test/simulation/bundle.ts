import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'esbuild'
import type { Mutant } from './mutants.js'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/**
 * The simulation and the shipped code in one file, with `mutant`'s changes in the source text of the latter.
 *
 * @throws when a text that is to be replaced does not stand there exactly once: the mutant is out of date.
 */
export async function bundle(outfile: string, mutant?: Mutant): Promise<void> {
  await build({
    entryPoints: [`${ROOT}test/simulation/worker.ts`],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'error',
    // memjs and generic-pool are CommonJS: they ask for a `require`.
    banner: { js: `import { createRequire } from 'node:module'; const require = createRequire('${ROOT}package.json');` },
    plugins: mutant === undefined ? [] : [weaken(mutant)],
  })
}

const weaken = (mutant: Mutant): Plugin => ({
  name: mutant.name,
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const edits = mutant.edits.filter((edit) => path === ROOT + edit.file)
      if (edits.length === 0) return undefined
      let contents = await readFile(path, 'utf8')
      for (const { file, find, replace } of edits) {
        const count = contents.split(find).length - 1
        if (count !== 1) throw new Error(`Mutant ${mutant.name}: its text stands ${String(count)} times in ${file}:\n${find}`)
        contents = contents.replace(find, () => replace)
      }
      return { contents, loader: 'ts' }
    })
  },
})
