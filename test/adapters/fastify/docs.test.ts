import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { read, ROOT, section, testsNamedIn } from '../../support/pages.js'

/** What docs/ says of Fastify's paths. Options, examples and the way from @fastify/session: test/docs/. */

const HERE = 'test/adapters/fastify'

describe('docs/reference/adapters.md', () => {
  it('each row of the table of paths names a test that exists', () => {
    const tests = readdirSync(join(ROOT, HERE)).filter((file) => file.endsWith('.test.ts'))
    const source = tests.map((file) => read(join(HERE, file))).join('\n')
    const named = testsNamedIn(section('docs/reference/adapters.md', '## Fastify'))
    expect(named.length).toBeGreaterThan(16)
    for (const name of named) expect(source).toContain(`('${name}'`)
  })
})
