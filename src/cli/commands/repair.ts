import { repair as repairAll } from '../../session/repair.js'
import type { Counts, NodeAfterRepair, Outcome, Repaired } from '../../session/repaired.js'
import { nameOf, type Place } from '../place.js'
import { EXIT, type ExitCode, type Report } from '../report.js'
import { oncePerSecond, codeAndReason, tallied } from '../telling.js'

/** `latchkey repair`: every session under the prefix is on all of its nodes again, and those that were emptied are whole. */
export async function repair({ manager, store, signal, clock }: Place, progress: (line: string) => void): Promise<Report> {
  const repaired = await repairAll(manager.engine, {
    leftSec: async (node, key) => store.nodes[node]?.ttlSec(key),
    signal,
    waiting: (id, node) => progress(`${nameOf(id)}: waits for a lock that ${node} keeps`),
    progress: oncePerSecond(clock, (counts, total) => progress(`${String(total)} sessions: ${wordsOf(counts)}`)),
  })
  const { counts, nodes } = repaired
  const failures = [...repaired.failures].map(([id, why]) => `${nameOf(id)}: ${codeAndReason(why)}`)
  return {
    exitCode: exitCodeOf(repaired),
    data: { ...counts, failures, changed: repaired.isChanged, servers: nodes.map(({ name, was, is }) => ({ server: name, was, is })) },
    lines: [
      `${wordsOf(counts)}.`,
      ...failures.slice(0, 10).map((failure) => `  ${failure}`),
      ...nodes.map((node) => `${node.name}: ${stateOf(node)}`),
      ...adviceFor(repaired),
    ],
  }
}

function exitCodeOf({ obstacle, nodes, isChanged }: Repaired): ExitCode {
  if (isChanged) return EXIT.fine
  if (nodes.some(({ is }) => is === 'away')) return EXIT.unreachable
  return obstacle === undefined ? EXIT.fine : EXIT.problem
}

const OBSTACLES: Readonly<Record<NonNullable<Repaired['obstacle']>, string>> = {
  records: 'Run it again for those that are left; until then a node that came back empty is not whole.',
  nodes: 'Too many nodes could not be listed: the others may have sessions that are missing here. Run it again when they answer.',
  again: 'A node has been emptied in the meantime, or did not answer at the end. Run it again.',
}

function adviceFor({ obstacle, nodes, isChanged }: Repaired): string[] {
  if (isChanged) return ['The list is changed. Now give every process the new one: without the server that leaves, and without change=.']
  if (obstacle !== undefined) return [OBSTACLES[obstacle]]
  return nodes.some(({ is }) => is === 'away') ? ['What the node that is away has missed is to be repaired when it is back: run it again then.'] : []
}

function stateOf({ was, is }: NodeAfterRepair): string {
  if (is === 'emptied') return was === 'joining' ? 'joins, and does not count yet' : 'came back empty, and is not whole yet'
  if (is === 'whole') return was === 'joining' ? 'has joined' : was === 'emptied' ? 'came back empty, and is whole again' : 'whole'
  return STATES[is]
}

const STATES = {
  away: 'does not answer',
  left: 'is not on the list any more',
  new: 'has not been used yet',
  foreign: 'is on another list',
} as const

const WORDS: Readonly<Record<Outcome, string>> = {
  same: 'on all nodes already',
  repaired: 'repaired',
  gone: 'gone meanwhile',
  locked: 'still locked',
  failed: 'failed',
}

const OUTCOMES: readonly Outcome[] = ['same', 'repaired', 'gone', 'locked', 'failed']

const wordsOf = (counts: Counts): string => tallied(OUTCOMES, counts, WORDS, 'repaired')
