import { expect, it } from 'vitest'
import { PAGES, read } from '../support/pages.js'

/** Lines that begin with a bar and follow each other, code aside: a table, or what is left of one that an empty line has cut. */
const tablesOf = (page: string): readonly (readonly string[])[] =>
  [...read(page).replace(/^```[^]*?^```$/gm, '').matchAll(/(?:^ *\|.*(?:\n|$))+/gm)].map(([table]) => table.trimEnd().split('\n'))

/** Also within code a bar ends a cell, unless it is escaped. */
const cellsOf = (row: string): number => row.trim().replace(/\|$/, '').split(/(?<!\\)\|/).length - 1

it.each(PAGES)('%s: each table has a head, and rows with as many cells', (page) => {
  const broken = tablesOf(page).flatMap(([head = '', line = '', ...rows]) =>
    [head, ...(/^ *\|(?: *:?-+:? *\|)+$/.test(line) ? [line] : ['no line below the head']), ...rows].filter((row) => cellsOf(row) !== cellsOf(head)),
  )
  expect(broken).toEqual([])
})
