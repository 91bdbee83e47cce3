import type { SessionManager } from 'latchkey'
import type { Wire } from '../../src/wire/wire.js'

/** The keys that a wire lists, in its order. @throws TypeError it lists none. */
export async function keysOf(wire: Pick<Wire, 'keys'>, prefix: string): Promise<string[]> {
  if (wire.keys === undefined) throw new TypeError('it lists no keys')
  const keys: string[] = []
  for await (const key of wire.keys(prefix)) keys.push(key)
  return keys
}

/** The keys on one node of those that keep copies. @throws TypeError none do; FlightError */
export async function keysOnNode({ engine: { wire: { replicaNodes } } }: SessionManager, node: number, prefix: string): Promise<string[]> {
  return keysOf(replicaNodes === undefined ? {} : { keys: (begin) => replicaNodes.keys(node, begin) }, prefix)
}
