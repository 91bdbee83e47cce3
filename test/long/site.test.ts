import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
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

  it('has no link that leads nowhere', () => {
    const pages = readdirSync(SITE, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.html') && file !== '404.html')
    const texts = new Map(pages.map((page) => [page, readFileSync(join(SITE, page), 'utf8')]))
    const plain = (text: string): string => decodeURIComponent(text.replaceAll('&amp;', '&'))
    const anchors = new Map([...texts].map(([page, text]) => [page, new Set([...text.matchAll(/ id="([^"]+)"/g)].map(([, id = '']) => plain(id)))]))
    const broken = [...texts].flatMap(([page, text]) =>
      [...text.matchAll(/<a [^>]*href="(?!\w+:)([^"#]*)(?:#([^"]*))?"/g)].flatMap(([, path = '', anchor = '']) => {
        const file = path === '' ? page : join(path.startsWith('/') ? '.' : dirname(page), plain(path), path.endsWith('/') ? 'index.html' : '')
        const found = anchors.get(file)
        if (found === undefined && !file.endsWith('.html') && existsSync(join(SITE, file))) return []
        return found !== undefined && (anchor === '' || found.has(plain(anchor))) ? [] : [`${page}: ${path}#${anchor}`]
      }),
    )
    expect(pages.length).toBeGreaterThan(60)
    expect(broken).toEqual([])
  })

  it('is searched without asking anybody', () => {
    const chunks = readdirSync(join(SITE, 'assets/chunks'))
    expect(chunks.some((chunk) => chunk.startsWith('@localSearchIndex'))).toBe(true)
  })
})
