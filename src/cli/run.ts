import { type ErrorCode, LatchkeyError, UnknownKeyError } from '../errors.js'
import { RecordFormat } from '../session/record-format.js'
import { bytes } from '../system/format.js'
import { escaped } from '../system/plain-text.js'
import { VERSION } from '../system/version.js'
import { FlightError, unsupportedIn } from '../wire/wire.js'
import { copy } from './commands/copy.js'
import { holder } from './commands/holder.js'
import { inspect } from './commands/inspect.js'
import { locks } from './commands/locks.js'
import { repair } from './commands/repair.js'
import { proxyConfig } from './commands/proxy-config.js'
import { stats } from './commands/stats.js'
import { unlock } from './commands/unlock.js'
import { doctor } from './doctor/doctor.js'
import { doctorPhp, MAX_PHP_TEXT_BYTES } from './doctor/php/doctor-php.js'
import { type Guarded, mutexOf, sessionOf } from './guarded.js'
import { helpOf } from './help.js'
import { type CommandInvocation, parseInvocation, type PhpInvocation } from './invocation.js'
import { encryptionOf, keyringOf } from './keys.js'
import { Place } from './place.js'
import { EXIT, type ExitCode, type Report } from './report.js'
import { refuseOneOfSeveral } from './records.js'
import type { Terminal } from './terminal.js'
import { UsageError } from './usage-error.js'
import { watch } from './watch/watch.js'

/**
 * One run of the tool: prints, and says with what code to exit. Rejects never.
 *
 * @param signal ctrl-C: the command stops after the flight under way, and nothing of it is left on a server.
 */
export async function run(argv: readonly string[], terminal: Terminal, signal: AbortSignal): Promise<ExitCode> {
  let json = argv.includes('--json') || (!terminal.isRead && !argv.includes('--human'))
  try {
    const invocation = parseInvocation(argv, terminal.env)
    switch (invocation.kind) {
      case 'help':
        terminal.out(helpOf(invocation.command))
        return EXIT.fine
      case 'version':
        terminal.out(`${VERSION}\n`)
        return EXIT.fine
      case 'command': {
        json = invocation.json ?? !terminal.isRead
        if (invocation.urls !== undefined) return await watch(invocation, json, terminal, signal)
        const report = await carryOut(invocation, terminal, signal)
        // A configuration goes into a file as it is.
        const isText = !json || (invocation.command === 'proxy-config' && invocation.json === undefined)
        terminal.out(isText ? `${report.lines.join('\n')}\n` : `${jsonOf(report.data, 2)}\n`)
        return report.exitCode
      }
    }
  } catch (error) {
    const { exitCode, code, message } = signal.aborted
      ? { exitCode: EXIT.interrupted, code: 'INTERRUPTED', message: 'Interrupted.' }
      : explained(error)
    terminal.err(json ? `${jsonOf({ error: { code, message } })}\n` : `latchkey: ${message}\n`)
    if (error instanceof UsageError && !json) terminal.err('Try: latchkey --help\n')
    return exitCode
  }
}

const MAX_PROXY_TEXT_BYTES = 1024 * 1024

interface TextFile {
  readonly file: string
  readonly limitBytes: number
  /** What a file that is longer cannot be: `no configuration of a proxy`. */
  readonly isNot: string
}

async function textOf({ file, limitBytes, isNot }: TextFile, terminal: Terminal, signal: AbortSignal): Promise<string> {
  const text = await terminal.readText(file, limitBytes, signal).catch((error: unknown) => {
    signal.throwIfAborted()
    throw new UsageError(`${file} cannot be read (${error instanceof Error ? error.message : String(error)}).`)
  })
  if (text !== undefined) return text
  throw new UsageError(`What was given is longer than ${bytes(limitBytes)}: it is ${isNot}.`)
}

const phpText = (file: string): TextFile => ({ file, limitBytes: MAX_PHP_TEXT_BYTES, isNot: 'neither a php.ini nor the output of "php -i"' })
const proxyText = (file: string): TextFile => ({ file, limitBytes: MAX_PROXY_TEXT_BYTES, isNot: 'no configuration of a proxy' })

/** For the lock of a session that is in use. Not for longer: after ctrl-C those that wait are waited for. */
const SESSION_WAIT_MS = 5000

async function carryOut(invocation: CommandInvocation | PhpInvocation, terminal: Terminal, signal: AbortSignal): Promise<Report> {
  if (invocation.phpFile !== undefined) return doctorPhp(await textOf(phpText(invocation.phpFile), terminal, signal))
  const { command, flags } = invocation
  const { address, prefix, deadlineMs } = invocation
  const progress = (line: string): void => {
    terminal.err(`${line}\n`)
  }
  const keys = terminal.env['LATCHKEY_KEYS']
  const format = new RecordFormat({ keys: keyringOf(keys) })
  if (invocation.to !== undefined) {
    const encryption = encryptionOf(keys)
    const locking = { waitMs: SESSION_WAIT_MS, ...(encryption === undefined ? {} : { encryption }) }
    const common = { format, prefix, php: invocation.php, deadlineMs, signal, wallMs: () => terminal.wallMs(), locking }
    await using from = new Place({ ...common, address })
    await using to = new Place({ ...common, address: invocation.to, mayMake: true })
    // What has begun when ctrl-C comes is brought to its end: no session stays locked, or is copied by half.
    return await copy(from, to, { mirrors: flags.mirror, progress })
  }
  if (command === 'repair') {
    const locking = { waitMs: SESSION_WAIT_MS }
    await using place = new Place({ format, address, prefix, php: invocation.php, deadlineMs, signal, wallMs: () => terminal.wallMs(), locking })
    // As with copy, what has begun is brought to its end.
    return await repair(place, progress)
  }
  const { proxyFile } = invocation
  const proxyConfiguration = proxyFile === undefined ? undefined : await textOf(proxyText(proxyFile), terminal, signal)
  await using place = new Place({ format, address, prefix, php: invocation.php, deadlineMs, signal, wallMs: () => terminal.wallMs(), proxyConfiguration })
  // Whatever waits for a server gives up at once; the doctor's session is on a wire of its own, which cleans up.
  signal.addEventListener('abort', () => void place.wire.close(), { once: true })
  switch (command) {
    case 'doctor':
      return await doctor(place)
    case 'proxy-config':
      return proxyConfig(place, invocation.proxy)
    case 'watch':
      throw new UsageError('watch asks no store.')
    case 'copy':
      throw new UsageError('copy takes two save paths: from, and to.')
    case 'locks':
      return await locks(place, flags.ids)
    case 'stats':
      return await stats(place, flags.count)
    case 'holder':
      return await holder(place, await guardedOf(place, invocation, terminal))
    case 'inspect':
      return await inspect(place, (await guardedOf(place, invocation, terminal)).id, flags.values)
    case 'unlock': {
      if (!flags.yes && (!terminal.canAsk || invocation.id === '-')) {
        throw new UsageError('unlock asks before it acts, and there is nobody to ask: give --yes.')
      }
      const confirm = async (question: string): Promise<boolean> =>
        flags.yes || /^y(?:es)?$/i.test((await terminal.ask(`${question}\nUnlock it? [y/N] `, signal)).trim())
      return await unlock(place, await guardedOf(place, invocation, terminal), confirm)
    }
  }
}

async function guardedOf(place: Place, invocation: CommandInvocation, terminal: Terminal): Promise<Guarded> {
  const id = await idOf(invocation, terminal, place.signal)
  const guarded = invocation.flags.mutex ? mutexOf(place, id) : sessionOf(place, id)
  // Of what cannot be an id nobody is asked.
  guarded.layout.keysOf(id)
  await refuseOneOfSeveral(place, id)
  return guarded
}

async function idOf({ id }: CommandInvocation, terminal: Terminal, signal: AbortSignal): Promise<string> {
  return id === undefined || id === '-' ? (await terminal.readLine(signal)).trim() : id
}

const EXIT_OF: Partial<Record<ErrorCode, ExitCode>> = {
  LATCHKEY_INVALID_ID: EXIT.usage,
  LATCHKEY_INVALID_OPTION: EXIT.usage,
  LATCHKEY_INVALID_SAVE_PATH: EXIT.usage,
  LATCHKEY_SERVER_UNAVAILABLE: EXIT.unreachable,
  LATCHKEY_OUTCOME_UNKNOWN: EXIT.unreachable,
  LATCHKEY_NOT_SUPPORTED: EXIT.notSupported,
}

interface Explained {
  readonly exitCode: ExitCode
  readonly code: string
  readonly message: string
}

function explained(error: unknown): Explained {
  if (error instanceof UnknownKeyError) {
    return { exitCode: EXIT.problem, code: error.code, message: `${error.message} For this tool: set LATCHKEY_KEYS.` }
  }
  if (error instanceof LatchkeyError) {
    return { exitCode: EXIT_OF[error.code] ?? EXIT.problem, code: error.code, message: error.message }
  }
  if (error instanceof FlightError) {
    const code = codeOf(error)
    return { exitCode: EXIT_OF[code] ?? EXIT.unreachable, code, message: error.message }
  }
  if (error instanceof UsageError) return { exitCode: EXIT.usage, code: 'USAGE', message: error.message }
  return { exitCode: EXIT.problem, code: 'UNEXPECTED', message: error instanceof Error ? error.message : String(error) }
}

function codeOf(error: FlightError): ErrorCode {
  if (unsupportedIn(error) !== undefined) return 'LATCHKEY_NOT_SUPPORTED'
  return error.answer === undefined ? 'LATCHKEY_SERVER_UNAVAILABLE' : 'LATCHKEY_SERVER_REFUSED'
}

/** What JSON leaves as it is could still move a cursor. */
const jsonOf = (value: unknown, indent?: number): string =>
  escaped(JSON.stringify(value, null, indent), /[\x7f-\x9f]/g)
