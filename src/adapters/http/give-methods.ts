/** Methods that a session has beside its framework's. Not enumerable, so they are never stored. */
export function giveMethods(session: object, methods: Readonly<Record<string, (...args: never) => unknown>>): void {
  for (const name in methods) {
    Object.defineProperty(session, name, { value: methods[name], configurable: true, writable: true })
  }
}
