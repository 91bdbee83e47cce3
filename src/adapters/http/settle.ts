import { toHttpError } from './http-error.js'

export type Callback<T> = (error: unknown, value?: T) => void

/**
 * A promise, and the callback if there is one. A callback that throws does so on its own turn, as after any I/O, and
 * with a callback the promise fails nobody.
 */
export function settle<T>(work: Promise<T>, callback: Callback<T> | undefined): Promise<T> {
  const told = work.catch((error: unknown) => {
    throw toHttpError(error)
  })
  if (callback === undefined) return told
  told.then(
    (value) => {
      process.nextTick(callback, null, value)
    },
    (error: unknown) => {
      process.nextTick(callback, error)
    },
  )
  return told
}

/** For whoever drops the promise: that it failed is told with the response. */
export function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined)
  return promise
}
