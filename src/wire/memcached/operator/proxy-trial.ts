/**
 * Plays what sessions ask of a proxy, and says what it does not keep: the keys of a session on one server, a flight's
 * commands in their order, compare-and-delete, and errors that are told as errors.
 *
 * A proxy does not say on which server a key is. The versions do: a server counts them for all its keys together, so
 * those of two keys that are written in turn on one server go up in turn.
 */
import { randomBytes } from 'node:crypto'
import type { Finding } from '../../operated-store.js'
import { type Cas, type Command, FlightError, type Reply, unsupportedIn, valueBytes, type Wire } from '../../wire.js'
import type { Via } from '../save-path.js'
import { traitsOf } from '../traits.js'

/** Enough for two servers to be met by some of them; with each of them hashed alone. */
const SESSIONS = 16
const ORDERED_FLIGHTS = 400
const TTL_SEC = 30

/** What keeps keys together, in the configuration of each proxy. */
const TOGETHER: Readonly<Record<Via, string>> = {
  twemproxy: 'Set hash_tag: "{}" for the pool.',
  proxy: 'Set filter = "tags", filter_conf = "{}" in the options of the pool.',
  mcrouter: 'Let the route hash each key up to its |#|, as mcrouter does, and route by no other part of it.',
}

interface Seen {
  apart: number
  refused: number
  undeleted: number
  away: number
  missed: number
}

/** @throws FlightError: the proxy itself was not reached. */
export async function proxyFindings(wire: Wire, via: Via): Promise<readonly Finding[]> {
  const seen: Seen = { apart: 0, refused: 0, undeleted: 0, away: 0, missed: 0 }
  const name = `latchkey-doctor-${randomBytes(6).toString('hex')}`
  try {
    for (let count = 0; count < SESSIONS; count++) await playKeys(wire, via, `${name}-${String(count)}`, seen)
    const isOrdered = await areInOrder(wire, `${name}-order`)
    return [...judged(seen, via), ...(isOrdered ? [] : [outOfOrder(via)])]
  } catch (error) {
    if (unsupportedIn(error) === undefined) throw error
    // The trial of a session says the rest.
    return []
  }
}

async function playKeys(wire: Wire, via: Via, id: string, seen: Seen): Promise<void> {
  const { open, close, stop } = traitsOf(via).keyMarks ?? { open: '', close: '', stop: '' }
  const record = open + id + close
  const keys = [record, `${record}${stop}-lck`]
  const item = { value: id, ttlSec: TTL_SEC }
  const added = await replies(wire, id, keys.map((key) => ({ op: 'add', key, ...item })))
  if (added === undefined) {
    seen.away++
    const [read] = (await replies(wire, id, [{ op: 'get', key: record }])) ?? []
    // After an error that says nothing it may be there; what is not there was not asked for.
    if (read?.status === 'missing' && (await replies(wire, id, [{ op: 'add', key: record, ...item }])) === undefined) seen.missed++
    return
  }
  const first = added.flatMap(({ cas }) => cas ?? [])
  const changed = await replies(wire, id, keys.map((key, index) => ({ op: 'cas', key, cas: first[index] ?? NONE, wantCas: true, ...item })))
  const second = changed?.flatMap(({ cas }) => cas ?? []) ?? []
  if (changed?.some(({ status }) => status !== 'ok') === true) seen.refused++
  else if (!goUpInTurn([...first, ...second])) seen.apart++
  const gone = await replies(wire, id, [
    ...keys.map((key, index): Command => ({ op: 'cad', key, cas: second[index] ?? NONE })),
    ...keys.map((key): Command => ({ op: 'get', key })),
  ])
  if (gone !== undefined && second.length === keys.length && !gone.slice(-keys.length).every(({ status }) => status === 'missing')) seen.undeleted++
  await replies(wire, id, keys.map((key) => ({ op: 'delete', key })))
}

const NONE: Cas = { version: '0', asOf: Infinity }

const goUpInTurn = (versions: readonly Cas[]): boolean =>
  versions.every(({ version }, index) => index === 0 || BigInt(version) > BigInt(versions[index - 1]?.version ?? 0))

/** Whether each read of many flights found what its flight had written just before. */
async function areInOrder(wire: Wire, id: string): Promise<boolean> {
  const flights = Array.from({ length: ORDERED_FLIGHTS }, async (_, count) => {
    const key = `${id}-${String(count)}`
    const values = ['1', '2', '3']
    const commands = values.flatMap((value): Command[] => [{ op: 'set', key, value, ttlSec: TTL_SEC }, { op: 'get', key }])
    const told = (await replies(wire, id, [...commands, { op: 'delete', key }])) ?? []
    const read = told.filter((_reply, index) => index % 2 === 1).slice(0, values.length)
    return told.length === 0 || read.every(({ value }, index) => valueBytes(value ?? '').toString('latin1') === values[index])
  })
  return (await Promise.all(flights)).every((isRight) => isRight)
}

/** Undefined where a server behind the proxy is away: an error came in place of a reply, or a version is too old by now. */
async function replies(wire: Wire, id: string, commands: readonly Command[]): Promise<readonly Reply[] | undefined> {
  try {
    return await wire.flight(id, commands)
  } catch (error) {
    if (error instanceof FlightError && (error.answer !== undefined || error.untrusted)) return undefined
    throw error
  }
}

function judged({ apart, refused, undeleted, away, missed }: Seen, via: Via): Finding[] {
  const of = (count: number): string => `${String(count)} of ${String(SESSIONS)}`
  const findings: (Finding | false)[] = [
    apart > 0 && {
      code: 'proxy-keys-apart',
      severity: 'problem',
      message: `The record and the lock of ${of(apart)} sessions are on two servers behind the proxy: a lock may outlive or miss its record.`,
      advice: TOGETHER[via],
    },
    refused > 0 && {
      code: 'proxy-replicates',
      severity: 'problem',
      message: `The version that was just read was refused for ${of(refused)} sessions: the proxy keeps copies of a key on several servers.`,
      advice: `Let it spread the keys over the servers; "latchkey proxy-config ${via === 'proxy' ? 'memcached' : via}" writes how.`,
    },
    undeleted > 0 && {
      code: 'proxy-no-compare-and-delete',
      severity: 'problem',
      message: `What was to be deleted by its version (cas with a time that is past) is still there, for ${of(undeleted)} sessions.`,
      advice: 'Use a proxy that passes expiration times on as they are.',
    },
    away > 0 && {
      code: 'proxy-server-away',
      severity: 'problem',
      message: `A server behind the proxy does not answer: ${of(away)} sessions got errors.`,
      advice: 'Start it, or look at what stands between; its sessions are refused until then, and those of the others are not.',
    },
    missed > 0 && {
      code: 'proxy-miss-on-error',
      severity: 'problem',
      message: `A server that is away looks like one that has no such session, for ${of(missed)} sessions: visitors would be logged out.`,
      advice: 'mcrouter: start it with --disable-miss-on-get-errors. Others: let an error be told as one.',
    },
  ]
  return findings.filter((finding) => finding !== false)
}

const outOfOrder = (via: Via): Finding => ({
  code: 'proxy-out-of-order',
  severity: 'problem',
  message: 'The commands of a flight are not carried out in their order: a lock may be let go of before its record is stored.',
  advice: via === 'twemproxy' ? 'Set server_connections: 1.' : 'Let the proxy use one connection to each server.',
})
