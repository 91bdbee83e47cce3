import { InvalidOptionError } from '../errors.js'
import { nearestName } from '../system/nearest-name.js'

/**
 * Refuses a name that is none of the `known` ones, with the nearest of them: taken in silence it would do nothing.
 *
 * @param within the option that holds these: 'cookie'. Default: they are the options themselves.
 * @throws InvalidOptionError LATCHKEY_INVALID_OPTION
 */
export function checkNames(options: object, known: ReadonlySet<string>, within = ''): void {
  const path = within === '' ? '' : `${within}.`
  for (const [name, value] of Object.entries(options)) {
    // What is undefined was not given.
    if (known.has(name) || value === undefined) continue
    const meant = nearestName(name, known)
    const hint = meant === undefined ? '' : ` Did you mean "${path}${meant}"?`
    throw new InvalidOptionError(`There is no option "${path}${name}".${hint} The options are ${[...known].join(', ')}.`)
  }
}

/** Total: not every value has a string form of its own. */
export const shown = (value: unknown): string =>
  typeof value === 'object' || typeof value === 'function' ? (value === null ? 'null' : `a ${typeof value}`) : String(value)
