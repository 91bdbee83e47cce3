/**
 * What a process has once, however many copies of this package are loaded in it; made by the first that asks.
 *
 * @param name of one shape for ever: copies of other versions find it, too. Where they must not, it holds VERSION.
 */
export function processWide<T>(name: string, make: () => T): T {
  const shared = globalThis as typeof globalThis & Record<symbol, T | undefined>
  return (shared[Symbol.for(`latchkey.${name}`)] ??= make())
}
