/** What a test leaves behind, and is undone when the test is over, the last first. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'vitest'

interface Undoing {
  readonly undo: (() => Promise<void> | void)[]
  /** Makes a directory of the test's own. */
  readonly newDirectory: () => string
}

/** To be called once in a file, at its top. */
export function undoneAfterEach(): Undoing {
  const undo: Undoing['undo'] = []
  afterEach(async () => {
    for (const one of undo.splice(0).reverse()) await one()
  })
  const newDirectory = (): string => {
    const directory = mkdtempSync(join(tmpdir(), 'latchkey-test-'))
    undo.push(() => rmSync(directory, { recursive: true, force: true }))
    return directory
  }
  return { undo, newDirectory }
}
