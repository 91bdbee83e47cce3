/**
 * Returns a value that exists once in the process, even if several copies of this package are loaded. The first caller
 * makes it.
 *
 * @param name names the value. Copies of other versions find it too, so the value's shape must never change; where it
 *   may change, put VERSION into the name.
 */
export function processWide<T>(name: string, make: () => T): T {
  const shared = globalThis as typeof globalThis & Record<symbol, T | undefined>
  return (shared[Symbol.for(`latchkey.${name}`)] ??= make())
}
