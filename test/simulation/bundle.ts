import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'esbuild'
import type { Edit, Mutant } from './mutants.js'

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
    logLevel: 'silent',
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
      const contents = edits.reduce((text, edit) => applied(mutant.name, edit, text), await readFile(path, 'utf8'))
      return { contents, loader: 'ts' }
    })
  },
})

/** Whether every text that `mutant` replaces stands where it should. @throws as `bundle` does. */
export async function check(mutant: Mutant): Promise<void> {
  for (const edit of mutant.edits) applied(mutant.name, edit, await readFile(ROOT + edit.file, 'utf8'))
}

function applied(name: string, { file, find, replace }: Edit, text: string): string {
  const count = text.split(find).length - 1
  if (count !== 1) throw new Error(`Mutant ${name}: its text stands ${String(count)} times in ${file}:\n${find}`)
  return text.replace(find, () => replace)
}
