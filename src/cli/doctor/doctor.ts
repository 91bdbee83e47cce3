import { LatchkeyError, NotSupportedError, ServerUnavailableError } from '../../errors.js'
import { describeServer, type ServerAddress } from '../../wire/memcached/save-path.js'
import { AuthenticationError } from '../../wire/memcached/codec.js'
import { fingerprintOf, shownList } from '../../wire/memcached/server-lists.js'
import { bytes, duration } from '../format.js'
import type { Place } from '../place.js'
import { EXIT, type ExitCode, type Report } from '../report.js'
import type { Finding } from './finding.js'
import { findingsOf } from './rules.js'
import { factsOf, numberOf, type ServerFacts } from './server-facts.js'
import { playSession, type Trial } from './trial.js'

/** One server, examined. */
interface Examined {
  readonly server: ServerAddress
  readonly facts: ServerFacts | undefined
  /** undefined: it was not played, or failed. */
  readonly trial: Trial | undefined
  readonly findings: readonly Finding[]
}

/** `latchkey doctor`: reaches every server, asks it about itself, and plays a session on it. */
export async function doctor(place: Place): Promise<Report> {
  const examined = await Promise.all(place.servers.map((server) => examine(place, server)))
  place.signal.throwIfAborted()
  const exitCode = exitCodeOf(examined.flatMap(({ findings }) => findings))
  return {
    exitCode,
    data: { ok: exitCode === EXIT.fine, servers: examined.map(dataOf) },
    lines: examined.flatMap(linesOf),
  }
}

async function examine(place: Place, server: ServerAddress): Promise<Examined> {
  const findings: Finding[] = []
  let facts: ServerFacts | undefined
  try {
    using connection = await place.ask(server)
    facts = await factsOf(server, connection, place.clock)
    findings.push(...findingsOf(facts))
  } catch (error) {
    place.signal.throwIfAborted()
    // What speaks only binary may well keep sessions.
    if (!(error instanceof NotSupportedError) && server.protocol !== 'binary') {
      return { server, facts, trial: undefined, findings: [notReached(error)] }
    }
    findings.push(notAsked(error))
  }
  try {
    const trial = await playSession(place, server)
    return { server, facts, trial, findings: [...findings, ...listsDiffer(place, trial)] }
  } catch (error) {
    place.signal.throwIfAborted()
    return { server, facts, trial: undefined, findings: [...findings, trialFailed(error, facts === undefined)] }
  }
}

function notReached(error: unknown): Finding {
  const message = messageOf(error)
  if (isAbout(error, AuthenticationError)) {
    return {
      code: 'credentials-refused',
      severity: 'problem',
      message,
      advice: 'Check user name and password, and how it was started: -Y needs ?protocol=text, and SASL (-S) binary.',
    }
  }
  return {
    code: 'unreachable',
    severity: 'problem',
    message,
    advice:
      'Check that it runs, that the address is right, and what stands between: a firewall, TLS (tls:// and -Z), ' +
      'SASL, -B binary (?protocol=binary).',
  }
}

const notAsked = (error: unknown): Finding => ({
  code: 'stats-unavailable',
  severity: 'note',
  message: `Its memory and settings cannot be looked at (${messageOf(error)})`,
  advice: 'Look at them on the machine itself.',
})

function listsDiffer({ servers }: Place, { usedList }: Trial): Finding[] {
  const given = fingerprintOf(servers)
  if (usedList === undefined || usedList === given) return []
  return [
    {
      code: 'server-lists-differ',
      severity: 'problem',
      message: `A running process uses it with another list of servers (${shownList(usedList)}; given here: ${given})`,
      advice: 'Give every process, and the doctor, the same servers in the same words; docs/guide/changing-servers.md says how a list is changed.',
    },
  ]
}

/** Where nothing was learned before, the failure may be that the server cannot be reached at all. */
function trialFailed(error: unknown, isFirstContact: boolean): Finding {
  if (isFirstContact && error instanceof ServerUnavailableError) return notReached(error)
  const code = error instanceof LatchkeyError ? `${error.code}: ` : ''
  return {
    code: 'trial-failed',
    severity: 'problem',
    message: `A session could not be locked, stored and unlocked here (${code}${messageOf(error)})`,
    advice: 'Look at the other findings of this server first.',
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

function isAbout(error: unknown, kind: typeof AuthenticationError): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) if (cause instanceof kind) return true
  return false
}

function exitCodeOf(findings: readonly Finding[]): ExitCode {
  if (findings.some(({ code }) => code === 'unreachable' || code === 'credentials-refused')) return EXIT.unreachable
  return findings.some(({ severity }) => severity === 'problem') ? EXIT.problem : EXIT.fine
}

const protocolOf = ({ protocol, credentials }: ServerAddress): string =>
  protocol ?? (credentials === undefined ? 'text' : 'binary')

function dataOf({ server, facts, trial, findings }: Examined): object {
  return {
    server: describeServer(server),
    protocol: protocolOf(server),
    tls: server.tls !== undefined,
    authenticated: server.credentials !== undefined,
    ...(facts === undefined
      ? {}
      : {
          version: facts.version,
          uptimeSec: numberOf(facts.stats, 'uptime'),
          memoryBytes: numberOf(facts.stats, 'limit_maxbytes'),
          itemSizeBytes: numberOf(facts.settings, 'item_size_max'),
          evictions: numberOf(facts.stats, 'evictions'),
          clockAheadSec: facts.aheadSec,
          roundTripMs: rounded(facts.roundTripMs),
        }),
    ...(trial === undefined ? {} : { trialMs: rounded(trial.tookMs), largestSessionBytes: trial.largestSessionBytes }),
    findings,
  }
}

const rounded = (ms: number): number => Math.round(ms * 100) / 100

function linesOf({ server, facts, trial, findings }: Examined): string[] {
  const about = facts === undefined ? '' : aboutOf(facts)
  return [
    `${describeServer(server)}: ${about}${protocolOf(server)}`,
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

function aboutOf({ version, stats }: ServerFacts): string {
  const upMs = numberOf(stats, 'uptime') * 1000
  return `memcached ${version}, up for ${duration(upMs)}, ${bytes(numberOf(stats, 'limit_maxbytes'))} of memory, `
}
