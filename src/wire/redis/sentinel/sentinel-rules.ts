/** What the doctor says of the Sentinels of a save path. */
import type { Finding, OperateOptions } from '../../operated-store.js'
import { flightMsOf } from '../asking.js'
import type { WatchedRedis } from '../save-path.js'
import { sentinelNode } from './sentinels.js'
import { type Word, wordOf } from './word.js'

/** So many agree by majority when one is away. */
const ENOUGH_SENTINELS = 3

/** Asks each of them, over a connection of its own. @param replicas those that the primary has now. */
export async function findingsOfSentinels(watched: WatchedRedis, replicas: number, options: OperateOptions): Promise<Finding[]> {
  const nodes = watched.sentinels.map((address) => sentinelNode(address, options.clock, flightMsOf(options)))
  const answers = await Promise.allSettled(nodes.map((node) => wordOf(node, watched.service)))
  await Promise.all(nodes.map((node) => node.close()))
  const words = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
  const failures = answers.flatMap((answer): unknown[] => (answer.status === 'rejected' ? [answer.reason] : []))
  return [...ofAnswers(words, failures), ...ofCopies(watched, replicas)]
}

function ofAnswers(words: readonly Word[], failures: readonly unknown[]): Finding[] {
  const findings: Finding[] = []
  const count = words.length + failures.length
  if (failures.length > 0) {
    const reasons = failures.map((failure) => (failure instanceof Error ? failure.message : String(failure))).join(' ')
    findings.push({
      code: 'sentinel-unreachable',
      severity: 'problem',
      message: `${String(failures.length)} of the ${String(count)} Sentinels of the save path do not say where the primary is: ${reasons}`,
      advice: 'Start them, or correct the save path: without a majority of the Sentinels no replica takes over.',
    })
  }
  const places = new Set(words.map(({ host, port }) => `${host}:${String(port)}`))
  if (places.size > 1) {
    findings.push({
      code: 'sentinels-disagree',
      severity: 'problem',
      message: `The Sentinels name different primaries: ${[...places].join(', ')}.`,
      advice: 'Ask again in some seconds, as there may be a failover under way; else look whether they reach each other.',
    })
  }
  if (count < ENOUGH_SENTINELS) {
    findings.push({
      code: 'few-sentinels',
      severity: 'advice',
      message: `The save path names ${count === 1 ? 'one Sentinel' : `${String(count)} Sentinels`}.`,
      advice: 'Name three or more: while those that it names are away no connection can be opened.',
    })
  }
  return findings
}

function ofCopies(watched: WatchedRedis, replicas: number): Finding[] {
  if (watched.replicas === 0) {
    return [
      {
        code: 'failover-may-lose',
        severity: 'note',
        message: 'A change is acknowledged before a replica has it, so that a failover may lose it.',
        advice: 'Where it should not, write ?replicas=1 in the save path.',
      },
    ]
  }
  if (replicas > watched.replicas) return []
  return [
    {
      code: 'few-replicas',
      severity: 'advice',
      message: `A change waits for ${String(watched.replicas)} replicas, and the primary has ${String(replicas)}.`,
      advice: 'Have one more than that: while one is away nothing is acknowledged.',
    },
  ]
}
