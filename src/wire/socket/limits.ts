import { InvalidOptionError } from '../../errors.js'

/** What every store that is reached over a socket asks of its options. @throws {InvalidOptionError} one is out of its range. */
export function checkNodeLimits(flightMs: number, connections: number): void {
  if (!(flightMs >= 10 && flightMs <= 600_000)) {
    throw new InvalidOptionError(`flightMs: ${String(flightMs)} is not between 10 and 600000 (milliseconds).`)
  }
  if (!(Number.isInteger(connections) && connections >= 1)) {
    throw new InvalidOptionError(`connections: ${String(connections)} is not an integer of at least 1.`)
  }
}
