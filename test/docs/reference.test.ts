import { describe, expect, it } from 'vitest'
import { settingsOf } from '../../src/session/options.js'
import { read, section } from '../support/pages.js'

const OPTIONS = 'docs/reference/options.md'

/** The names of a type's fields, as the source declares them. */
function fieldsOf(file: string, type: string): readonly string[] {
  const [, declared = ''] = new RegExp(`interface ${type}\\b[^{]*\\{([^]*?)\\n\\}`).exec(read(file)) ?? []
  return [...declared.matchAll(/readonly (\w+)\??:/g)].map(([, name]) => name ?? '')
}

describe.each(['docs/reference/errors.md', 'docs/troubleshooting.md'])('%s', (page) => {
  it('has a row for every error code, and for no other', () => {
    const sources = read('src/errors.ts') + read('src/adapters/http/http-error.ts')
    const codes = new Set([...sources.matchAll(/LATCHKEY_\w+/g)].map(([code]) => code))
    const rows = new Set([...read(page).matchAll(/^\| `(LATCHKEY_\w+)`/gm)].map(([, code]) => code))
    expect([...rows].sort()).toEqual([...codes].sort())
  })
})

describe(OPTIONS, () => {
  it.each([
    ['## The manager', 'src/session/options.ts', 'SessionManagerOptions', 10],
    ['### PHP', 'src/session/dialect/php-options.ts', 'PhpOptions', 6],
    ['## Koa', 'src/adapters/http/options.ts', 'LockOptions', 3],
    ['## Fetch', 'src/adapters/fetch/options.ts', 'SessionOptions', 3],
    ['## Fastify', 'src/adapters/http/options.ts', 'LockOptions', 3],
    ['## Fastify', 'src/adapters/http/session-record.ts', 'KeepingOptions', 2],
    ['## Fastify', 'src/adapters/fastify/options.ts', 'OwnSessionOptions', 2],
    ['## Express', 'src/adapters/http/options.ts', 'LockOptions', 3],
    ['## Express', 'src/adapters/http/session-record.ts', 'KeepingOptions', 2],
    ['## Inspector', 'src/adapters/inspector/options.ts', 'InspectorOptions', 3],
  ])('%s has a row for every option of %s, %s', (heading, file, type, more) => {
    const options = fieldsOf(file, type)
    expect(options.length).toBeGreaterThan(more)
    for (const option of options) expect(section(OPTIONS, heading)).toMatch(new RegExp(`^\\|.*\`${option}\``, 'm'))
  })
})

it('the table of the manager has the defaults and the ranges of the source', () => {
  const [, ranges = ''] = /const RANGES = \{([^]*?)\n\}/.exec(read('src/session/options.ts')) ?? []
  const declared = [...ranges.matchAll(/(\w+): \[(.*?), (.*?)\]/g)]
  expect(declared.length).toBeGreaterThan(8)
  const defaults: Readonly<Record<string, unknown>> = { ...settingsOf({}) }
  for (const [, name = '', least = '', most = ''] of declared) {
    const row = section(OPTIONS, '## The manager').split('\n').find((line) => line.startsWith(`| \`${name}\``)) ?? ''
    const [, , given = '', what = ''] = row.split('|')
    const number = (text: string): number => text.split('*').reduce((product, factor) => product * Number(factor.replace(/[ _]/g, '')), 1)
    const [, from = '', to = ''] = /(\d[\d ]*)(?: \(never\))? to (\d[\d ]*\d)/.exec(what) ?? []
    expect([name, parseInt(given.replaceAll(' ', ''), 10), number(from), number(to)]).toEqual([name, defaults[name], number(least), number(most)])
  }
})

it('each row of php-contract.md names a test that exists', () => {
  const tests = read('test/session/php-contract.test.ts').replaceAll("\\'", "'")
  const cells = [...read('docs/reference/php-contract.md').matchAll(/\| `([^`]+)` \|$/gm)].map(([, name]) => name ?? '')
  const named = cells.filter((name) => !name.startsWith('LATCHKEY_'))
  expect(named.length).toBeGreaterThan(20)
  for (const name of named) expect(tests).toContain(`it('${name}'`)
})
