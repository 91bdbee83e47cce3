/** Packs the project once, before the long tests; each has the tarball from here. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  interface ProvidedContext {
    tarball: string
  }
}

export default async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const directory = await mkdtemp(join(tmpdir(), 'latchkey-pack-'))
  const cwd = fileURLToPath(new URL('../..', import.meta.url))
  const { stdout } = await promisify(execFile)('npm', ['pack', '--json', '--pack-destination', directory], { cwd })
  // `prepack` prints before the JSON.
  const [pack] = JSON.parse(stdout.slice(stdout.indexOf('[\n'))) as { filename: string }[]
  provide('tarball', join(directory, pack?.filename ?? ''))
  return () => rm(directory, { recursive: true, force: true })
}
