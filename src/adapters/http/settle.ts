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

/** For whoever drops the promise: that it failed is told with the response. */
export function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(ignore)
  return promise
}

export function ignore(): void {
  // Who made the call sees its failure, or it is told with the response.
}
