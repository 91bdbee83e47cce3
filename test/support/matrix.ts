/**
 * What asks the same question again, of another engine, framework or protocol, or with more seeds. `npm test` plays the first
 * rows, to take less than three minutes; `npm run test:all` plays all of them, in every file that imports this one.
 */
import { inject } from 'vitest'

declare module 'vitest' {
  interface ProvidedContext {
    playsAllRows: boolean
  }
}

/** Whether this is `npm run test:all`. */
export const playsAllRows: boolean = inject('playsAllRows')

/** All rows, or the first `count` of them. */
export const rowsOf = <Row>(all: readonly Row[], count = 1): readonly Row[] => (playsAllRows ? all : all.slice(0, count))

/** All rows of a product, or every third of them, in which each value of options with two values is met. */
export const thirdOf = <Row>(all: readonly Row[]): readonly Row[] => (playsAllRows ? all : all.filter((_row, at) => at % 3 === 0))

/** How often a property is played: all `count` times, or a quarter of them. */
export const runsOf = (count: number): number => (playsAllRows ? count : Math.ceil(count / 4))
