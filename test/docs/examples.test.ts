import { execFile } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { transform } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FOR_NODE } from '../support/for-node.js'
import { MemcachedServer } from '../support/memcached-server.js'
import { blocksOf, MARK, PAGES, promisedBy, read, ROOT } from '../support/pages.js'
import { buildPrograms } from '../support/programs.js'

/** Code blocks are built inside the project, so that 'latchkey' is what the project is. */
const SCRATCH = join(ROOT, '.cache/docs')
const BUILT = join(SCRATCH, 'built')

let server: MemcachedServer
beforeAll(async () => {
  mkdirSync(SCRATCH, { recursive: true })
  server = await MemcachedServer.start()
  const sources = PAGES.flatMap((page) =>
    runnable(page).map((code, index) => {
      const file = join(SCRATCH, nameOf(page, index))
      writeFileSync(file, code.replaceAll('127.0.0.1:11211', server.address))
      return file
    }),
  )
  await buildPrograms([join(ROOT, 'test/docs/play.ts')], SCRATCH)
  await buildPrograms(sources, BUILT)
})
afterAll(async () => {
  rmSync(SCRATCH, { recursive: true, force: true })
  await server.stop()
})

/** So many pages are played by one process: to start one for each takes longer than what it plays. */
const PAGES_AT_ONCE = 6

const runnable = (page: string): readonly string[] => blocksOf(page).flatMap(({ how, code }) => (how === 'run' ? [code] : []))
const nameOf = (page: string, index: number): string => `${page.replaceAll('/', '-')}-${String(index + 1)}.mjs`

describe('code in the documentation', () => {
  it.each(PAGES)('%s: every block says how it is tested', (page) => {
    const languages: Readonly<Record<string, RegExp>> = { js: /^(run|express)$/, ts: /^file /, sh: /^shell$/, diff: /^migration$/ }
    for (const { language, how, code } of blocksOf(page)) {
      expect({ language, how: how ?? 'nothing is said', code }).toMatchObject({ how: expect.stringMatching(languages[language] ?? /^$/) })
    }
  })

  // The examples are built before they run, for any Node: the builder writes anew what the oldest one could not read.
  it.each(PAGES)('%s: its JavaScript is what the oldest Node reads that latchkey runs on', async (page) => {
    for (const { language, code } of blocksOf(page)) {
      if (language !== 'js') continue
      const [written, read] = await Promise.all(['esnext', FOR_NODE.target].map((target) => transform(code, { target })))
      expect(read?.code).toBe(written?.code)
    }
  })

  const withExamples = PAGES.filter((page) => runnable(page).length > 0)
  const played = new Map<number, Promise<string[]>>()

  /** What the examples of that page printed, which is played with its neighbours. */
  async function printedBy(page: string): Promise<string[]> {
    const at = withExamples.indexOf(page)
    const first = at - (at % PAGES_AT_ONCE)
    const printed = played.get(first) ?? play(withExamples.slice(first, first + PAGES_AT_ONCE))
    played.set(first, printed)
    const before = withExamples.slice(first, at).flatMap(runnable).length
    return (await printed).slice(before, before + runnable(page).length)
  }

  async function play(pages: readonly string[]): Promise<string[]> {
    const files = pages.flatMap((page) => runnable(page).map((_code, index) => join(BUILT, nameOf(page, index))))
    // One that does not end by itself is ended, before the test is.
    const { stdout } = await promisify(execFile)(process.execPath, [join(SCRATCH, 'play.mjs'), ...files], { cwd: ROOT, timeout: 50_000 })
    return stdout.split(`${MARK}\n`).slice(1).map((text) => text.trim())
  }

  it.concurrent.each(withExamples)('%s: its examples run, print what they say, and end by themselves', async (page) => {
    expect(await printedBy(page)).toEqual(runnable(page).map(promisedBy))
  })

  const quoted = PAGES.flatMap((page) => blocksOf(page).flatMap(({ how, code }) => (how?.startsWith('file ') === true ? [[page, how.slice('file '.length), code] as const] : [])))
  it.each(quoted)('%s: what it shows of %s is there', (_page, file, code) => {
    expect(read(file)).toContain(code)
  })
})
