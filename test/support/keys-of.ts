import type { Wire } from '../../src/wire/wire.js'

/** The keys that a wire lists, in its order. @throws TypeError it lists none. */
export async function keysOf(wire: Pick<Wire, 'keys'>, prefix: string): Promise<string[]> {
  if (wire.keys === undefined) throw new TypeError('it lists no keys')
  const keys: string[] = []
  for await (const key of wire.keys(prefix)) keys.push(key)
  return keys
}
