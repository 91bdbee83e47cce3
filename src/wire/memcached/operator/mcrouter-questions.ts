/**
 * Asks mcrouter about itself: it answers a `get` of `__mcrouter__.<command>` by itself (mcrouter/ServiceInfo-inl.h), and
 * tells which routes a command takes, and to which servers. That is certain, where playing sessions only shows it mostly.
 */
import { randomBytes } from 'node:crypto'
import type { Finding } from '../../operated-store.js'
import { shown } from '../../socket/server-errors.js'
import { traitsOf } from '../traits.js'
import type { OperatorConnection } from './operator-connection.js'
import { problem, replicates, timeoutLong } from './proxy-configuration.js'

/** What is sent for sessions. */
const OPERATIONS = ['get', 'gets', 'add', 'set', 'cas', 'touch', 'delete'] as const
/** Two servers are met by some of them. */
const SESSIONS = 16

/** The names of routes that send one key to several servers, or to another one in time: `all-majority`, `failover:...`. */
const REPLICATING = /^(?:all-\w+|miss-failover|failover\b.*|random|latest|loadbalancer|l1l2.*|warm-up|shadow.*|migrate.*|staging)/

export interface Mcrouter {
  /** `mcrouter 41.0.0` */
  readonly version: string
  readonly findings: readonly Finding[]
}

/**
 * @param flightMs how long latchkey waits for an answer.
 * @returns undefined where it is not mcrouter that answers, or one that tells nothing of itself.
 */
export async function askMcrouter(connection: OperatorConnection, flightMs: number): Promise<Mcrouter | undefined> {
  const ask = async (command: string): Promise<readonly string[]> => (await connection.linesOf(`__mcrouter__.${command}`)) ?? []
  const [version] = await ask('version')
  if (version === undefined || isError(version)) return undefined
  const findings = [await replicatingRoute(ask), await keysApart(ask), await missOnError(ask), await longTimeout(ask, flightMs)]
  return { version: shown(version), findings: findings.flatMap((finding) => finding ?? []) }
}

type Ask = (command: string) => Promise<readonly string[]>

const isError = (line: string): boolean => line.startsWith('ERROR')

async function replicatingRoute(ask: Ask): Promise<Finding | undefined> {
  const key = `latchkey-doctor-${randomBytes(6).toString('hex')}`
  for (const operation of OPERATIONS) {
    const names = (await ask(`route_handles(${operation},${key})`)).map((line) => line.trim())
    const name = names.find((line) => REPLICATING.test(line))
    if (name !== undefined) return replicates(`"${shown(name.replace(/[|:].*/, ''))}" of ${operation}`)
  }
  return undefined
}

async function keysApart(ask: Ask): Promise<Finding | undefined> {
  const stop = traitsOf('mcrouter').keyMarks?.stop ?? ''
  let apart = 0
  for (let count = 0; count < SESSIONS; count++) {
    const record = `latchkey-doctor-${randomBytes(6).toString('hex')}`
    const places = [await ask(`route(cas,${record})`), await ask(`route(gets,${record})`), await ask(`route(add,${record}${stop}-lck)`)]
    const [one, ...others] = places.map((lines) => lines.join(' '))
    if (others.some((other) => other !== one)) apart++
  }
  if (apart === 0) return undefined
  return problem(
    'proxy-keys-apart',
    `mcrouter sends the commands of ${String(apart)} of ${String(SESSIONS)} sessions to different servers: a lock may be on another server than its record.`,
    'Let one route serve all commands, and hash each key up to its |#|, as PoolRoute does.',
  )
}

async function missOnError(ask: Ask): Promise<Finding | undefined> {
  // Versions without the option tell errors as errors.
  const [value] = await ask('options(miss_on_get_errors)')
  if (value !== '1' && value !== 'true') return undefined
  return problem(
    'proxy-miss-on-error',
    'A server that is away looks like one that has no such session (miss_on_get_errors): visitors would be logged out.',
    'Start mcrouter with --disable-miss-on-get-errors.',
  )
}

async function longTimeout(ask: Ask, flightMs: number): Promise<Finding | undefined> {
  const [value = ''] = await ask('options(server_timeout_ms)')
  const timeoutMs = Number(value)
  // 0 is no timeout at all.
  if (value === '' || Number.isNaN(timeoutMs) || (timeoutMs > 0 && timeoutMs < flightMs)) return undefined
  return timeoutLong('server_timeout_ms', '--server-timeout-ms', flightMs)
}
