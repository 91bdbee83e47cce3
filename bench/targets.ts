/** What is to be reached, and whether it was. */
import { num, type Table } from './support/result.js'

interface Target {
  readonly figure: string
  readonly limit: number
  readonly kind: 'at least' | 'at most' | 'exactly'
  readonly aim?: number
}

const TARGETS: readonly Target[] = [
  { figure: 'cycle.ratioToFloor', kind: 'at least', limit: 0.85, aim: 0.93 },
  { figure: 'cycle.cpuRatioToFloor', kind: 'at most', limit: 1.15 },
  { figure: 'cycle.expressRatioToFloor', kind: 'at least', limit: 0.6 },
  { figure: 'cycle.ratioToConnectMemcached', kind: 'at least', limit: 2.5 },
  { figure: 'cycle.ratioToConnectMemjs', kind: 'at least', limit: 1.9 },
  { figure: 'cycle.ratioToConnectRedis', kind: 'at least', limit: 2.6 },
  { figure: 'cycle.garbageBytes', kind: 'at most', limit: 8192 },
  { figure: 'cycle.sequentialRatioToFloor', kind: 'at most', limit: 1.05 },
  { figure: 'cycle.flightsPerCycle', kind: 'exactly', limit: 2 },
  { figure: 'cycle.commandsPerCycle', kind: 'exactly', limit: 4 },
  { figure: 'http.ratioToConnectMemcached', kind: 'at least', limit: 0.97 },
  { figure: 'http.ratioToConnectRedis', kind: 'at least', limit: 1 },
  { figure: 'http.unshapedRatioToConnectRedis', kind: 'at least', limit: 1 },
  { figure: 'herd.overheadPct', kind: 'at most', limit: 10 },
  { figure: 'herd.flightsPerRequest', kind: 'at most', limit: 1.2 },
  { figure: 'herd.kept', kind: 'exactly', limit: 1 },
  { figure: 'handoff.worstP50Ms', kind: 'at most', limit: 1 },
  { figure: 'handoff.worstP99Ms', kind: 'at most', limit: 5 },
  { figure: 'handoff.pollsPerWait', kind: 'at most', limit: 4 },
  { figure: 'handoff.pollsInFirst10s', kind: 'at most', limit: 60 },
  { figure: 'handoff.pollsPerSecondLater', kind: 'at most', limit: 4 },
  { figure: 'isolation.p99Ratio', kind: 'at most', limit: 1.2 },
  { figure: 'isolation.connections', kind: 'at most', limit: 3 },
  { figure: 'waiters.bytesEach', kind: 'at most', limit: 1200 },
  { figure: 'growth.costAt1e6Ratio', kind: 'at most', limit: 1.1 },
  { figure: 'records.encryptionOverheadPct', kind: 'at most', limit: 10 },
  { figure: 'shapes.sharedPct', kind: 'at least', limit: 90 },
  { figure: 'file.sequentialRatioToMemcached', kind: 'at least', limit: 1 },
  { figure: 'file.ratioToSessionFileStore', kind: 'at least', limit: 10 },
  { figure: 'file.hotRatioToPhpFiles', kind: 'at least', limit: 0.8 },
  { figure: 'file.handoffP99Ms', kind: 'at most', limit: 5 },
  { figure: 'file.lagP99Ms', kind: 'at most', limit: 20 },
  { figure: 'mutex.ratioToRedlock', kind: 'at least', limit: 2 },
  // A tenth of redlock's delay before it tries again.
  { figure: 'mutex.handoffP99Ms', kind: 'at most', limit: 20 },
  { figure: 'engines.redisRatioToConnectRedis', kind: 'at least', limit: 1.2, aim: 1.5 },
  { figure: 'engines.redisSequentialRatioToConnectRedis', kind: 'at most', limit: 1.05 },
  { figure: 'cluster.ratioToOneNode', kind: 'at least', limit: 0.4 },
  { figure: 'cluster.latencyRatioToOneNode', kind: 'at most', limit: 1.2 },
  { figure: 'cluster.failoverGapMs', kind: 'at most', limit: 100 },
  { figure: 'cluster.failoverRefused', kind: 'exactly', limit: 0 },
  { figure: 'observability.offOverheadPct', kind: 'at most', limit: 2 },
  { figure: 'observability.inspectorUnseenOverheadPct', kind: 'at most', limit: 2 },
  { figure: 'observability.inspectorOverheadPct', kind: 'at most', limit: 10 },
]

export function targetsTable(figures: Readonly<Record<string, number>>): Table {
  const rows = TARGETS.flatMap((target) => {
    const value = figures[target.figure]
    if (value === undefined) return []
    const aim = target.aim === undefined ? '' : `aim ${String(target.aim)}`
    return [[target.figure, `${target.kind} ${String(target.limit)}`, aim, num(value), isReached(target, value) ? 'ok' : 'MISSED']]
  })
  return { title: 'targets', head: ['figure', 'target', '', 'measured', ''], rows }
}

function isReached({ kind, limit }: Target, value: number): boolean {
  switch (kind) {
    case 'at least':
      return value >= limit
    case 'at most':
      return value <= limit
    case 'exactly':
      return Math.abs(value - limit) < 0.01
  }
}
