/** Reads the documentation for tests. A page is named by its path from the root of the repository. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

export const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8')

/** Every page: those in the root, and all below docs/ that are not generated. */
export const PAGES: readonly string[] = [
  ...readdirSync(ROOT).filter((file) => file.endsWith('.md')),
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md') && !file.startsWith('reference/api/') && !file.includes('node_modules'))
    .map((file) => `docs/${file}`),
].sort()

/** The text under a heading of a page, up to the next heading of the same rank or above; '' without such a heading. */
export function section(page: string, heading: string): string {
  const rank = /^#+/.exec(heading)?.[0].length ?? 0
  const [, text = ''] = new RegExp(`^${heading}\\n([^]*?)(?=^#{1,${String(rank)}} |$(?![^]))`, 'm').exec(read(page)) ?? []
  return text
}

/** The tests that the last column of a table names. */
export const testsNamedIn = (table: string): readonly string[] => [...table.matchAll(/\| `([^`]+)` \|$/gm)].map(([, name = '']) => name)

export interface Block {
  /** `js`, `sh`, `diff` and so on. */
  readonly language: string
  /** What the comment before the block says about its test: `run` for `<!-- test: run -->`. */
  readonly how: string | undefined
  readonly code: string
}

/** The fenced code blocks of a page. */
export const blocksOf = (page: string): readonly Block[] =>
  [...read(page).matchAll(/(?:<!-- test: (.*?) -->\n)?^```(\w+)\n([^]*?)^```$/gm)].map(([, how, language = '', code = '']) => ({ how, language, code }))

/** What a block says that it prints: the comments behind its `console.log(...)`, one on each line. */
export const promisedBy = (code: string): string =>
  [...code.matchAll(/console\.log\(.*\) \/\/ (.*)/g)].map(([, promised = '']) => promised).join('\n')

/** The line that test/docs/play.ts prints before the output of each example. */
export const MARK = '--- the next example'
