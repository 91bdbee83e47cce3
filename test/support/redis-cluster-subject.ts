import { setTimeout as delay } from 'node:timers/promises'
import { systemClock } from '../../src/system/clock.js'
import type { WireSubject, WireSubjectOptions } from '../../src/testing/wire-conformance/subject.js'
import { readClusterPath } from '../../src/wire/redis/cluster/cluster-path.js'
import { type ClusterWire, type ClusterWireOptions, createClusterWire } from '../../src/wire/redis/cluster/cluster-wire.js'
import type { RedisCluster } from './redis-cluster.js'

/** The deadline of a flight where deadlines are not tested: long, because the machine may be busy with other tests. */
const PATIENCE_MS = 20_000

const refuse = (where: string, problem: string): never => {
  throw new Error(`${where}: ${problem}`)
}

export const clusterWireTo = (savePath: string, options: Partial<ClusterWireOptions> = {}): ClusterWire =>
  createClusterWire({ seeds: readClusterPath(savePath, refuse), clock: systemClock, flightMs: PATIENCE_MS, ...options })

/** Makes a wire to a cluster that others use as well; whoever restarts it must have it alone. `advance` waits in real time. */
export function clusterSubject(cluster: RedisCluster, { wide = false }: WireSubjectOptions = {}): WireSubject {
  const wire = clusterWireTo(cluster.savePath, wide ? {} : { connections: 1 })
  return { wire, advance: (ms) => delay(ms), close: () => wire.close() }
}
