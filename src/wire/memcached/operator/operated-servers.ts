import type { OperatedNode, OperatedStore, OperateOptions } from '../../operated-store.js'
import { createPhpRing } from '../php-ring.js'
import { createRendezvous } from '../rendezvous.js'
import { nodeId, type ServerAddress } from '../save-path.js'
import { OperatedProxy } from './operated-proxy.js'
import { OperatedServer } from './operated-server.js'
import { writtenConfiguration } from './written-configurations.js'

/** Opens the memcached servers that share the sessions to an operator's tools. */
export function operateServers(servers: readonly ServerAddress[], options: OperateOptions): OperatedStore {
  const nodes = servers.map((server): OperatedNode => {
    const operated = new OperatedServer(server, servers, options)
    return server.via === undefined ? operated : new OperatedProxy(operated, server, server.via, options)
  })
  const { placement } = options
  // Of a record it is the id that is hashed.
  const owner = placement === undefined
    ? createRendezvous(servers.map((server) => ({ id: nodeId(server), weight: server.weight })))
    : createPhpRing(servers, placement.ring)
  return {
    nodes,
    proxyConfiguration: (proxy, purpose) => writtenConfiguration(servers, proxy, purpose),
    nodeOf(route) {
      const node = nodes[owner(route)]
      if (node === undefined) throw new RangeError('no such server')
      return node
    },
  }
}
