import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import { PAGES, read, ROOT } from '../support/pages.js'

/** `npm run docs`: VitePress refuses what it cannot link, and TypeDoc says what it finds no docstring of. */

const SITE = join(ROOT, '.cache/site/dist')

let said = ''
beforeAll(async () => {
  const { stdout, stderr } = await promisify(execFile)('npm', ['run', 'docs'], { cwd: ROOT })
  said = stdout + stderr
})

describe('the site', () => {
  it('is built without a warning', () => {
    expect(said).toContain('build complete')
    expect(said.split('\n').filter((line) => /warning|dead link/i.test(line))).toEqual([])
  })

  it('has every page', () => {
    const files = PAGES.filter((page) => page.startsWith('docs/')).map((page) => page.replace(/^docs\//, '').replace(/README\.md$/, 'index.md').replace(/md$/, 'html'))
    expect(files.filter((file) => !existsSync(join(SITE, file)))).toEqual([])
  })

  it('has a page of the API for every entry point', () => {
    const { exports } = JSON.parse(read('package.json')) as { exports: Record<string, unknown> }
    const entries = Object.keys(exports).filter((entry) => entry !== './package.json')
    expect(entries.filter((entry) => !existsSync(join(SITE, 'reference/api', `${join('latchkey', entry)}.html`)))).toEqual([])
  })

  it('is searched without asking anybody', () => {
    const chunks = readdirSync(join(SITE, 'assets/chunks'))
    expect(chunks.some((chunk) => chunk.startsWith('@localSearchIndex'))).toBe(true)
  })
})
