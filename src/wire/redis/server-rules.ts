/** What the doctor says of a Redis, from what it tells of itself. */
import { bytes } from '../../system/format.js'
import type { Finding } from '../operated-store.js'

export interface ServerFacts {
  readonly version: string
  readonly product: string
  readonly uptimeSec: number
  /** `limitBytes` 0: none. */
  readonly memory: { readonly usedBytes: number; readonly limitBytes: number; readonly policy: string }
  readonly evicted: number
  readonly connections: { readonly now: number; readonly limit: number }
  readonly hits: number
  readonly misses: number
  readonly replicas: number
  readonly appendOnly: boolean
}

const FULL_SHARE = 0.9
/** As on other stores. */
const CONNECTIONS_SHARE = 0.8

export function findingsOf({ memory, evicted, connections, replicas, appendOnly }: ServerFacts): Finding[] {
  const findings: Finding[] = []
  const advice = 'Set maxmemory-policy noeviction, so that a full server refuses writes, and keep caches on another server.'
  if (evicted > 0) {
    findings.push({
      code: 'evicting-sessions',
      severity: 'problem',
      message: `It has evicted ${String(evicted)} keys (${memory.policy}): sessions are lost, and locks of requests that still run.`,
      advice,
    })
  } else if (memory.limitBytes > 0 && memory.policy !== 'noeviction') {
    findings.push({
      code: 'may-evict',
      severity: 'advice',
      message: `When its memory is full it evicts sessions and locks (maxmemory-policy ${memory.policy}).`,
      advice,
    })
  }
  if (memory.limitBytes > 0 && memory.usedBytes > memory.limitBytes * FULL_SHARE) {
    findings.push({
      code: 'memory-nearly-full',
      severity: 'problem',
      message: `${bytes(memory.usedBytes)} of ${bytes(memory.limitBytes)} are in use.`,
      advice: 'Raise maxmemory, or let sessions live for less.',
    })
  }
  if (connections.limit > 0 && connections.now > connections.limit * CONNECTIONS_SHARE) {
    findings.push({
      code: 'connections-nearly-used',
      severity: 'problem',
      message: `${String(connections.now)} of ${String(connections.limit)} connections are in use.`,
      advice: 'Raise maxclients of the server, or lower connections of the managers.',
    })
  }
  if (replicas === 0 && !appendOnly) {
    findings.push({
      code: 'forgets',
      severity: 'note',
      message: 'It has no replica and keeps no log (appendonly): what it stored is lost when it ends, up to its last snapshot.',
      advice: 'Where sessions should survive that, set appendonly yes, or give it a replica.',
    })
  }
  return findings
}
