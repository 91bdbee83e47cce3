import { rmSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { afterAll } from 'vitest'
import { bundleOf } from './bundle.js'
import type { Mutant } from './mutants.js'

/** One run from its seed: what is wrong; undefined: nothing. */
type Play = (seed: number) => Promise<string | undefined>

/** The first thing that is wrong in so many runs. */
export async function firstFlaw(play: Play, { firstSeed, runs }: { readonly firstSeed: number; readonly runs: number }): Promise<string | undefined> {
  const { stackTraceLimit } = Error
  // Nobody reads the stacks here, and to make them costs more than the errors themselves.
  Error.stackTraceLimit = 0
  try {
    for (let run = 0; run < runs; run++) {
      const flaw = await play(firstSeed + run)
      if (flaw !== undefined) return flaw
    }
    return undefined
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

/**
 * Makes a small simulation, a module beside the test, as one file: with a mutant in the shipped code, or as it is shipped.
 * As one file also without a mutant: the runner of the tests looks every import up anew at each use, some hundred thousand times.
 *
 * @param name tells its bundles from those of other simulations; they are removed after the tests.
 */
export function bundled<Module>(name: string, file: URL): (mutant?: Mutant) => Promise<Module> {
  const bundles = fileURLToPath(new URL(`../../.cache/simulation-${name}-${String(process.pid)}/`, import.meta.url))
  afterAll(() => {
    rmSync(bundles, { recursive: true, force: true })
  })
  return async (mutant) => {
    const outfile = `${bundles}${mutant?.name ?? 'shipped'}.mjs`
    await bundleOf(fileURLToPath(file), outfile, mutant)
    return (await import(pathToFileURL(outfile).href)) as Module
  }
}
