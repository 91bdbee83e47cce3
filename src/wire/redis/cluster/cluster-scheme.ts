import type { WireScheme } from '../../scheme.js'
import { BEGINNINGS, FORM, readClusterPath } from './cluster-path.js'
import { createClusterWire } from './cluster-wire.js'
import { operateCluster } from './operated-cluster.js'

/** `redis+cluster://` and `rediss+cluster://`: a Redis Cluster, or one of Valkey. */
export const redisClusterScheme: WireScheme = {
  beginnings: BEGINNINGS,
  form: FORM,
  read(savePath, refuse) {
    const seeds = readClusterPath(savePath, refuse)
    return {
      open: ({ clock, flightMs, connections, onWarning, isOfProcesses }) =>
        createClusterWire({ seeds, clock, flightMs, connections, onWarning, isOfProcesses }),
      operate: (options) => operateCluster(seeds, options),
    }
  },
}
