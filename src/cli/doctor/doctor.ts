import { ServerUnavailableError } from '../../errors.js'
import { bytes } from '../../system/format.js'
import { type Examination, type Finding, isUnreached, type OperatedNode } from '../../wire/operated-store.js'
import { furthestOf, type NodeState } from '../../wire/replica-nodes.js'
import type { Place } from '../place.js'
import { EXIT, type ExitCode, type Report } from '../report.js'
import { codeAndReason } from '../telling.js'
import { playSession, type Trial } from './trial.js'

/** One node, examined. */
interface Examined extends Examination {
  readonly node: OperatedNode
  /** undefined: no session was played on it, or it failed. */
  readonly trial: Trial | undefined
}

/** `latchkey doctor`: reaches every node, asks it about itself, and plays a session on it. */
export async function doctor(place: Place): Promise<Report> {
  const states = (await place.wire.replicaNodes?.states(false)) ?? []
  const furthest = furthestOf(states.flatMap(({ stage }) => stage ?? []))
  const listsKeys = place.wire.keys !== undefined
  const examined = await Promise.all(
    place.store.nodes.map(async (node) => {
      const { findings, ...more } = await examine(place, node)
      return { ...more, findings: [...findings, ...states.filter(({ name }) => isOf(node, name)).flatMap((state) => ofState(state, furthest, listsKeys))] }
    }),
  )
  place.signal.throwIfAborted()
  const exitCode = exitCodeOf(examined.flatMap(({ findings }) => findings))
  return {
    exitCode,
    data: { ok: exitCode === EXIT.fine, servers: examined.map(dataOf) },
    lines: examined.flatMap(linesOf),
  }
}

/** Behind a proxy a node is a part of it: its name is the proxy's, and the beginning of its keys. */
const isOf = (node: OperatedNode, name: string): boolean => name === node.name || name.startsWith(`${node.name}/`)

/** @param furthest how far the list is changed, as the node says that is the furthest. */
function ofState(state: NodeState, furthest: NodeState['stage'], listsKeys: boolean): Finding[] {
  if (state.twin !== undefined) return [namedTwice(state.twin, state.name)]
  if (state.stage !== undefined) return [changing(state.stage)]
  // It joins, and says nothing yet: the others say what is to be done with it.
  if (state.state === 'new' && !state.isOnOld) return [changing(furthest ?? 'old')]
  return state.state === 'emptied' ? [emptied(state, listsKeys)] : state.state === 'foreign' ? [foreign(state)] : []
}

const STEPS: Readonly<Record<NonNullable<NodeState['stage']>, { readonly message: string; readonly advice: string }>> = {
  old: { message: 'The change of the list has not begun', advice: 'When every process has this save path, run "npx latchkey repair" with it.' },
  moving: { message: 'Sessions are being carried over to the new list', advice: 'If no "npx latchkey repair" is running with this save path, run it.' },
  moved: { message: 'Sessions have been carried over to the new list, and not every node has been told', advice: 'If no "npx latchkey repair" is running with this save path, run it again.' },
  new: { message: 'The list is changed', advice: 'Give every process the new one: without the server that leaves, and without change=.' },
}

const changing = (stage: NonNullable<NodeState['stage']>): Finding => ({
  code: 'list-changing',
  severity: 'advice',
  ...STEPS[stage],
})

const namedTwice = (one: string, other: string): Finding => ({
  code: 'server-named-twice',
  severity: 'problem',
  message: `${one} and ${other} are one server, which would keep two copies of each session: nobody is served`,
  advice: 'Name each server once, by an address of its own, and restart this one, so that it is empty.',
})

const foreign = ({ name, listed }: NodeState): Finding => ({
  code: 'server-lists-differ',
  severity: 'problem',
  message: `${name} keeps sessions by another list of servers (${String(listed)}), and nobody is served by this one`,
  advice: 'Give every process, and this command, the same servers in the same words. If nobody uses the other list any more, restart that server.',
})

const emptied = ({ name }: NodeState, listsKeys: boolean): Finding => ({
  code: 'node-emptied',
  severity: 'problem',
  message: `${name} has come back empty: sessions that nobody has used since are on the other nodes alone, and are refused while one of those is away`,
  advice: listsKeys ? 'Run "npx latchkey repair".' : 'Behind a proxy nothing can be listed: each session is repaired as it is used. Restart no other node until most have been.',
})

async function examine(place: Place, node: OperatedNode): Promise<Examined> {
  const told = await node.examine()
  const { findings, hasAnswered } = told
  if (findings.some(isUnreached)) return { ...told, node, trial: undefined }
  try {
    const trial = await playSession(place, node)
    return { ...told, node, trial, findings: [...findings, ...trial.findings] }
  } catch (error) {
    place.signal.throwIfAborted()
    // Where nothing was learned before, the failure may be that it cannot be reached at all.
    const isUnknown = !hasAnswered && error instanceof ServerUnavailableError
    return { ...told, node, trial: undefined, findings: [...findings, isUnknown ? node.notReached(error) : trialFailed(error)] }
  }
}

function trialFailed(error: unknown): Finding {
  return {
    code: 'trial-failed',
    severity: 'problem',
    message: `A session could not be locked, stored and unlocked here (${codeAndReason(error)})`,
    advice: 'Look at the other findings of this server first.',
  }
}

function exitCodeOf(findings: readonly Finding[]): ExitCode {
  if (findings.some(isUnreached)) return EXIT.unreachable
  return findings.some(({ severity }) => severity === 'problem') ? EXIT.problem : EXIT.fine
}

function dataOf({ node, data, trial, findings }: Examined): object {
  return {
    server: node.name,
    ...data,
    ...(trial === undefined
      ? {}
      : { trialMs: Math.round(trial.tookMs * 100) / 100, largestSessionBytes: trial.largestSessionBytes }),
    findings,
  }
}

function linesOf({ node, about, trial, findings }: Examined): string[] {
  return [
    `${node.name}: ${about}`,
    ...findings.flatMap(({ code, severity, message, advice }) => [
      `  ${severity.padEnd(7)}  ${code}: ${message}`,
      `           ${advice}`,
    ]),
    ...(trial === undefined
      ? []
      : [
          `  ok       A session was locked, stored, unlocked and destroyed in ${trial.tookMs.toFixed(1)} ms; ` +
            `one may have ${bytes(trial.largestSessionBytes)}.`,
        ]),
  ]
}
