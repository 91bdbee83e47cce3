import { quiet } from '../../request/quiet.js'
import { toHttpError } from './http-error.js'

export type Callback<T> = (error: unknown, value?: T) => void

/**
 * A promise, and the callback if there is one. A callback that throws does so on its own turn, as after any I/O, and
 * with a callback the promise fails nobody.
 */
export function settle<T>(work: Promise<T>, callback: Callback<T> | undefined): Promise<T> {
  if (callback === undefined) return work.catch(rethrow)
  return quiet(
    work.then(
      (value) => {
        process.nextTick(callback, null, value)
        return value
      },
      (thrown: unknown) => {
        const error = toHttpError(thrown)
        process.nextTick(callback, error)
        throw error
      },
    ),
  )
}

function rethrow(error: unknown): never {
  throw toHttpError(error)
}
