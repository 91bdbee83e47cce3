/**
 * Plays the files that it is given, one after the other, as programs: `node play.mjs FILE...`, built.
 *
 * The next one begins when the one before has ended by itself: when nothing is left that would keep the process alive.
 * What an example leaves open therefore fails its test. A line of `MARK` stands before what each one prints.
 */
import { pathToFileURL } from 'node:url'
import { MARK } from '../support/pages.js'

const files = process.argv.slice(2)

const next = (): void => {
  const file = files.shift()
  if (file === undefined) return
  console.log(MARK)
  void import(pathToFileURL(file).href)
}
process.on('beforeExit', next)
