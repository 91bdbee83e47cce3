/** Keeps Node from ending the process where the application drops the promise: its failure is told with the response. */
export function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(ignore)
  return promise
}

export function ignore(): void {
  // Who made the call sees its failure, or it is told with the response.
}
