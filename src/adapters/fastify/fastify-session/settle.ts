import { toHttpError } from '../../http/http-error.js'

export type Callback<T> = (error: unknown, value?: T) => void

/**
 * A promise, and the callback if there is one. A callback that throws does so on its own turn, as after any I/O, and
 * the promise of a call that nobody waits for fails nobody.
 */
export function settle<T>(work: Promise<T>, callback: Callback<T> | undefined): Promise<T> {
  const told = work.catch((error: unknown) => {
    throw toHttpError(error)
  })
  told.then(
    (value) => {
      // As its own store does: nothing at all where there is no result.
      if (callback !== undefined) process.nextTick(callback, value === undefined ? undefined : null, value)
    },
    (error: unknown) => {
      if (callback !== undefined) process.nextTick(callback, error)
    },
  )
  return told
}
