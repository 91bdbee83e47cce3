import { InvalidOptionError } from '../errors.js'
import { nearestName } from './nearest-name.js'

/**
 * Why options cannot be taken: they are no object, or one has a name that is none of the `known` ones, and taken in silence would
 * do nothing. Undefined where they can.
 *
 * @param within the option that holds these: 'cookie'. Default: they are the options themselves.
 */
export function flawOfNames(options: object, known: ReadonlySet<string>, within = ''): InvalidOptionError | undefined {
  const given: unknown = options
  // Not shown: a string may be a save path, with its password.
  if (typeof given !== 'object' || given === null) {
    const what = given === null ? 'null' : `a ${typeof given}`
    return new InvalidOptionError(`${within === '' ? 'What was given as the options' : within} is ${what}; it must be an object.`)
  }
  // Not Object.keys(): most calls of a request are given no options, and it makes an array for each.
  for (const name in given) {
    // An option that is undefined counts as not given.
    if (!Object.hasOwn(given, name) || known.has(name) || Reflect.get(given, name) === undefined) continue
    const path = within === '' ? '' : `${within}.`
    const meant = nearestName(name, known)
    const hint = meant === undefined ? '' : ` Did you mean "${path}${meant}"?`
    return new InvalidOptionError(`There is no option "${path}${name}".${hint} The options are ${[...known].join(', ')}.`)
  }
  return undefined
}

/** @throws InvalidOptionError LATCHKEY_INVALID_OPTION: `flawOfNames`. */
export function checkNames(options: object, known: ReadonlySet<string>, within = ''): void {
  const flaw = flawOfNames(options, known, within)
  if (flaw !== undefined) throw flaw
}
