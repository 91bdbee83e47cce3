/** Methods that a session has beside its framework's. Not enumerable, so they are never stored. */
export function giveMethods(session: object, methods: Readonly<Record<string, (...args: never) => unknown>>): void {
  for (const [name, value] of Object.entries(methods)) {
    Object.defineProperty(session, name, { value, configurable: true, writable: true })
  }
}
