/** A walk through the keys of a cluster. */
import { NotSupportedError } from '../../../errors.js'
import type { ServerNode } from '../../socket/node.js'
import { ask } from '../ask.js'
import { keysOf } from '../scan.js'
import type { ClusterNodes } from './cluster-nodes.js'

/** Slots that are on their way, or were, make the walk begin again so often. */
const MOST_WALKS = 3

/**
 * The keys of all primaries that begin with `prefix`; one may come several times. A key that moves from a node that is still to
 * be walked to one that was walked is found by the next walk.
 *
 * @throws NotSupportedError LATCHKEY_NOT_SUPPORTED: the user may not use SCAN, or CLUSTER NODES.
 * @throws {FlightError} a node did not answer.
 */
export async function *keysOfCluster(nodes: ClusterNodes, prefix: string): AsyncGenerator<string> {
  for (let walk = 0; walk < MOST_WALKS; walk++) {
    await nodes.refresh()
    const { version, primaries } = nodes
    const wasMoving = await isAnyMoving(primaries)
    for (const node of primaries) yield* keysOf(node, prefix)
    await nodes.refresh()
    if (nodes.version === version && !wasMoving && !(await isAnyMoving(primaries))) return
  }
}

/** Whether a slot is on its way from or to one of them: `[93-<-...]` stands behind the node's own slots then. */
async function isAnyMoving(nodes: readonly ServerNode[]): Promise<boolean> {
  const lines = await Promise.all(nodes.map((node) => ask(node, 'CLUSTER', 'NODES')))
  return lines.some((text) => {
    if (typeof text !== 'string') throw new NotSupportedError('The user of the save path may not use CLUSTER NODES, which a list of the keys needs.')
    return /\[\d+-[<>]-/.test(text)
  })
}
