import { describe, expect, it } from 'vitest'
import { read } from '../support/pages.js'

describe('docs/guide/workers.md', () => {
  it('names a test for every stage of a cancellation', () => {
    const tests = read('test/session/cancellation.test.ts')
    const named = [...read('docs/guide/workers.md').matchAll(/\| `([^`]+)` \|$/gm)].map(([, cell]) => cell ?? '')
    const stages = named.filter((cell) => !cell.startsWith('examples/'))
    expect(stages).toHaveLength(6)
    for (const stage of stages) expect(tests).toContain(`it('${stage}'`)
  })
})
