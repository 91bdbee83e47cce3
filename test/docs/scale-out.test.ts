import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { read, ROOT } from '../support/pages.js'

it('each row of the table of docs/guide/scale-out.md names a test that exists', () => {
  const rows = read('docs/guide/scale-out.md').split('\n').filter((line) => /^\| [^-|t]/.test(line) || /^\| twemproxy/.test(line))
  expect(rows.length).toBe(11)
  for (const row of rows) {
    const [, file = '', name = ''] = /`(test\/[\w./-]+\.test\.ts)` "([^"]+)"/.exec(row) ?? []
    expect(readFileSync(join(ROOT, file), 'utf8'), row).toContain(name)
  }
})
