import { describe, expect, it } from 'vitest'
import { COMMAND_NAMES } from '../../src/cli/help.js'
import { parseInvocation } from '../../src/cli/invocation.js'
import { PAGES, read } from '../support/pages.js'

/** What the pages tell to type is a command that there is. */

interface Told {
  readonly page: string
  readonly command: string
}

/** What stands between backticks, also over the end of a line. */
const told: readonly Told[] = PAGES.filter((page) => page.startsWith('docs/')).flatMap((page) =>
  [...read(page).replace(/^```[^]*?^```/gm, '').matchAll(/`([^`]+)`/g)].map(([, text = '']) => ({ page, command: text.replace(/\s+/g, ' ') })),
)

/** Words as a shell makes them of it, as far as pages go: quotes, and no more. */
const wordsOf = (command: string): string[] => [...command.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, one, two, three]) => one ?? two ?? three ?? '')

/** What a page leaves open. */
const filled = (command: string): string => command.replaceAll('://...', '://127.0.0.1').replaceAll(' ...', ' 127.0.0.1')

describe('`npx latchkey ...`', () => {
  const commands = told.flatMap(({ page, command }) => {
    const [, rest] = /npx latchkey ([^|]*)/.exec(command) ?? []
    return rest === undefined ? [] : [[page, rest] as const]
  })

  it('is told in the guides', () => {
    expect(commands.length).toBeGreaterThan(12)
  })

  it.each(commands)('%s: latchkey %s', (_page, rest) => {
    const words = wordsOf(filled(rest))
    const [name = ''] = words
    if (name.startsWith('-')) return
    expect(COMMAND_NAMES).toContain(name)
    // The name alone speaks of the command, and leaves out what it takes.
    if (words.length > 1) parseInvocation(words, { MEMCACHE_SERVERS: '127.0.0.1:11211' })
  })
})

it('`npm run ...` is a script of package.json', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
  const named = PAGES.flatMap((page) => [...read(page).matchAll(/npm run (?:--silent )?([\w:]+)/g)].map(([, script = '']) => script))
  expect(named.length).toBeGreaterThan(5)
  expect(named.filter((script) => !(script in scripts))).toEqual([])
})
