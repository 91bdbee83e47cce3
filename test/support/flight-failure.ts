import { type Command, FlightError, type Wire } from '../../src/wire/wire.js'

/** Why a flight fails, which it must. @param commands default: a look at a key */
export async function failureOf(wire: Wire, commands: readonly Command[] = [{ op: 'get', key: 'k' }]): Promise<FlightError> {
  const error: unknown = await wire.flight('r', commands).then(
    (replies) => new Error(`it flew: ${JSON.stringify(replies)}`),
    (failure: unknown) => failure,
  )
  if (error instanceof FlightError) return error
  throw error
}
