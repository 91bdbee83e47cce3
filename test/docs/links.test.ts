import { existsSync, statSync } from 'node:fs'
import { join, normalize } from 'node:path'
import { describe, expect, it } from 'vitest'
import { PAGES, read, ROOT } from '../support/pages.js'

/** Code is no text: what stands in it is neither a link nor a heading. */
const prose = (page: string): string => read(page).replace(/^```[^]*?^```$/gm, '')

/** The anchor of a heading, as GitHub makes it; the site is told to make the same. */
const slug = (heading: string): string =>
  heading
    .replace(/\]\([^)]*\)/g, ']')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-')

const anchorsOf = (page: string): ReadonlySet<string> => new Set([...prose(page).matchAll(/^#{1,6} (.*)$/gm)].map(([, heading = '']) => slug(heading)))

/** Where the links of a page lead, as paths from the root; those to other sites apart. */
const linksOf = (page: string): readonly (readonly [file: string, anchor: string])[] =>
  [...prose(page).replace(/`[^`\n]*`/g, '').matchAll(/\]\((?!https:\/\/)([^)#\s]*)(?:#([^)\s]*))?\)/g)].map(([, file = '', anchor = '']) => [
    file === '' ? page : normalize(join(page, '..', file)),
    anchor,
  ])

describe('links', () => {
  it.each(PAGES)('%s: each leads to a page that is there, and to a heading of it', (page) => {
    const broken = linksOf(page).filter(([file, anchor]) => !existsSync(join(ROOT, file)) || (anchor !== '' && !anchorsOf(file).has(anchor)))
    expect(broken).toEqual([])
  })

  it.each(PAGES)('%s names only files and folders that exist', (page) => {
    const named = [...read(page).matchAll(/`((?:src|test|docs|examples|bench|soak|scripts)\/[\w./[\]-]*)`/g)].map(([, file = '']) => file)
    expect(named.filter((file) => !existsSync(join(ROOT, file)))).toEqual([])
  })

  it('the documentation links to nothing that is not published with it: on the site, and in an installed package', () => {
    const published = /^(?:docs\/|(?:README|CHANGELOG|CONTRIBUTING|SECURITY)\.md$)/
    const strange = PAGES.filter((page) => page.startsWith('docs/')).flatMap((page) => linksOf(page).flatMap(([file]) => (published.test(file) ? [] : [`${page}: ${file}`])))
    expect(strange).toEqual([])
  })

  it('every page can be found from the front of the documentation', () => {
    const found = new Set(['docs/README.md'])
    for (const page of found) {
      for (const [file] of linksOf(page)) if (file.endsWith('.md') && existsSync(join(ROOT, file)) && statSync(join(ROOT, file)).isFile()) found.add(file)
    }
    expect(PAGES.filter((page) => page.startsWith('docs/') && !found.has(page))).toEqual([])
  })

  it.each(PAGES)('%s has one title, and no anchor twice', (page) => {
    const headings = [...prose(page).matchAll(/^#{1,6} .*$/gm)].map(([heading]) => heading)
    expect(headings.filter((heading) => heading.startsWith('# '))).toHaveLength(1)
    expect(anchorsOf(page).size).toBe(headings.length)
  })
})
