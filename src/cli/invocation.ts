/** The command line, checked. Knows no servers. */
import { parseArgs } from 'node:util'
import { readSavePath, SAVE_PATH_VARIABLES } from '../wire/open-wire.js'
import type { PhpOptions } from '../session/dialect/php-options.js'
import type { StoreAddress } from '../wire/scheme.js'
import { COMMAND_NAMES, COMMANDS, type CommandName, PHP_FORM } from './help.js'
import { UsageError } from './usage-error.js'
import { type WatchInvocation, watchOf } from './watch-invocation.js'

export type Invocation =
  | { readonly kind: 'help'; readonly command: CommandName | undefined }
  | { readonly kind: 'version' }
  | PhpInvocation
  | WatchInvocation
  | CommandInvocation

/** `doctor --php`: of a text, and of no store. */
export interface PhpInvocation {
  readonly kind: 'command'
  readonly command: 'doctor'
  /** A file, or `-` for standard input. */
  readonly phpFile: string
  readonly urls?: undefined
  readonly json: boolean | undefined
}

export interface CommandInvocation {
  readonly kind: 'command'
  readonly command: CommandName
  readonly phpFile?: undefined
  readonly urls?: undefined
  /** A session id, or `-` for the first line of standard input; undefined for commands that take none. */
  readonly id: string | undefined
  readonly address: StoreAddress
  /** The other store of `copy`. */
  readonly to: StoreAddress | undefined
  readonly prefix: string
  /** The sessions are shared with PHP. */
  readonly php: PhpOptions | undefined
  /** How long one call may take, in milliseconds. */
  readonly deadlineMs: number
  /** undefined: as the terminal is. */
  readonly json: boolean | undefined
  /** The configuration file of the proxy that the save path names; for `doctor`. */
  readonly proxyFile: string | undefined
  /** For `proxy-config`: for which proxy, and for what. */
  readonly proxy: { readonly name: string; readonly purpose: string } | undefined
  readonly flags: { readonly mutex: boolean; readonly yes: boolean; readonly values: boolean; readonly ids: boolean; readonly count: boolean; readonly mirror: boolean }
}

const OPTIONS = {
  servers: { type: 'string' },
  'save-path': { type: 'string' },
  prefix: { type: 'string' },
  'deadline-ms': { type: 'string' },
  json: { type: 'boolean' },
  human: { type: 'boolean' },
  mutex: { type: 'boolean' },
  yes: { type: 'boolean', short: 'y' },
  values: { type: 'boolean' },
  ids: { type: 'boolean' },
  count: { type: 'boolean' },
  mirror: { type: 'boolean' },
  php: { type: 'string' },
  'proxy-file': { type: 'string' },
  for: { type: 'string' },
  header: { type: 'string', multiple: true },
  port: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'V' },
} as const

type Env = Readonly<Record<string, string | undefined>>

/** @throws UsageError; InvalidSavePathError LATCHKEY_INVALID_SAVE_PATH. */
export function parseInvocation(argv: readonly string[], env: Env): Invocation {
  const { values, positionals } = parsed(argv)
  if (values.version === true) return { kind: 'version' }
  const [name, ...rest] = positionals
  if (name === 'help') return { kind: 'help', command: rest[0] === undefined ? undefined : commandNamed(rest[0]) }
  if (values.help === true) return { kind: 'help', command: name === undefined ? undefined : commandNamed(name) }
  if (name === undefined) throw new UsageError('No command was given.')
  const command = commandNamed(name)
  const { takes, flags } = COMMANDS[command]
  const takesId = takes === 'id'
  for (const flag of ['mutex', 'yes', 'values', 'ids', 'count', 'mirror'] as const) {
    if (values[flag] === true && !flags.includes(flag)) throw new UsageError(`${command} has no option --${flag}.`)
  }
  if (values['proxy-file'] !== undefined && command !== 'doctor') throw new UsageError(`${command} has no option --proxy-file.`)
  if (values.for !== undefined && takes !== 'proxy') throw new UsageError(`${command} has no option --for.`)
  for (const name of ['header', 'port'] as const) {
    if (values[name] !== undefined && takes !== 'urls') throw new UsageError(`${command} has no option --${name}.`)
  }
  if (values.json === true && values.human === true) throw new UsageError('--json and --human exclude each other.')
  const json = values.json === true ? true : values.human === true ? false : undefined
  if (takes === 'urls') return watchOf(rest, values, json)
  const [id, ...excess] = rest
  if (takesId && (id === undefined || id === '')) {
    throw new UsageError(`${command} needs a session id (or - to read it from standard input).`)
  }
  const [first, second] = takes === 'stores' ? storesOf(rest, values.servers ?? values['save-path']) : []
  // What is too much is not repeated: it may be an id.
  const takesOne = takesId || takes === 'proxy'
  if (takes !== 'stores' && (takesOne ? excess : rest).length > 0) {
    throw new UsageError(`${command} takes ${takesId ? 'one id' : takesOne ? 'one name' : 'no arguments'}.`)
  }
  if (values.php !== undefined && command === 'doctor') {
    if (values.servers !== undefined || values['save-path'] !== undefined) {
      throw new UsageError('doctor --php asks no server: leave out --servers and --save-path.')
    }
    return { kind: 'command', command: 'doctor', phpFile: values.php, json }
  }
  const php = values.php === undefined ? undefined : phpOf(values.php, values.prefix)
  if (command === 'copy' && php?.extension === 'memcache') {
    throw new UsageError('copy --php memcache: the keys of these sessions have no prefix, so that any other key of the server could be taken for one.')
  }
  return {
    kind: 'command',
    command,
    id: takesId ? id : undefined,
    address: first ?? addressOf(values.servers, values['save-path'], env),
    to: second,
    prefix: values.prefix ?? 'sess:',
    php,
    deadlineMs: deadlineOf(values['deadline-ms']),
    json,
    proxyFile: values['proxy-file'],
    proxy: takes === 'proxy' ? { name: id ?? '', purpose: values.for ?? 'sharding' } : undefined,
    flags: {
      mutex: values.mutex === true,
      yes: values.yes === true,
      values: values.values === true,
      ids: values.ids === true,
      count: values.count === true,
      mirror: values.mirror === true,
    },
  }
}

type Parsed = ReturnType<typeof parseArgs<{ options: typeof OPTIONS; allowPositionals: true }>>

function parsed(argv: readonly string[]): Parsed {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true })
  } catch (error) {
    // An id may begin with a dash, as every 64th of express-session does: it is not repeated.
    const [, option] = /^Unknown option '(.*?)'\./s.exec(error instanceof Error ? error.message : '') ?? []
    if (option !== undefined) {
      const which = /^--?[a-z-]{1,16}$/.test(option) ? `There is no option ${option}` : 'There is no such option'
      throw new UsageError(`${which}. An id that begins with a dash goes last, after "--".`)
    }
    // "Option '--servers <value>' argument missing": the first sentence says it, and holds no value.
    const [sentence] = error instanceof Error ? error.message.split(/[.\n]/) : []
    throw new UsageError(`${sentence ?? 'The options cannot be read'}.`)
  }
}

function commandNamed(name: string): CommandName {
  const command = COMMAND_NAMES.find((known) => known === name)
  // A mistyped command line may have an id in the command's place.
  if (command !== undefined) return command
  throw new UsageError(`There is no such command. The commands are ${COMMAND_NAMES.join(', ')}.`)
}

function addressOf(servers: string | undefined, savePath: string | undefined, env: Env): StoreAddress {
  if (servers !== undefined && savePath !== undefined) {
    throw new UsageError('--servers and --save-path are one and the same: give one.')
  }
  const text = servers ?? savePath ?? SAVE_PATH_VARIABLES.map((name) => env[name]).find((value) => value !== undefined && value !== '')
  if (text === undefined || text === '') {
    throw new UsageError(`Which servers? Give --servers 127.0.0.1:11211, or set ${SAVE_PATH_VARIABLES.join(' or ')}.`)
  }
  return readSavePath(text)
}

/** `copy` names both: a store that is taken from the environment would be the one or the other. */
function storesOf(paths: readonly string[], option: string | undefined): readonly [StoreAddress, StoreAddress] {
  const [from, to, ...excess] = paths
  if (from === undefined || to === undefined || excess.length > 0) throw new UsageError('copy takes two save paths: from, and to.')
  if (option !== undefined) throw new UsageError('copy takes its two save paths as arguments, and no --servers or --save-path.')
  return [readSavePath(from), readSavePath(to)]
}

/** An extension, or all of the manager's option as JSON. What is in it is checked by the manager. */
function phpOf(text: string, prefix: string | undefined): PhpOptions {
  const given = text.startsWith('{') ? parsedPhp(text) : { extension: text }
  return { ...given, ...(prefix === undefined ? {} : { prefix }) } as PhpOptions
}

function parsedPhp(text: string): object {
  try {
    const given: unknown = JSON.parse(text)
    if (typeof given === 'object' && given !== null) return given
  } catch {
    // Said below.
  }
  throw new UsageError(PHP_FORM)
}

function deadlineOf(text: string | undefined): number {
  if (text === undefined) return 3000
  const deadlineMs = /^\d{2,5}$/.test(text) ? Number(text) : 0
  if (deadlineMs >= 30 && deadlineMs <= 60_000) return deadlineMs
  throw new UsageError('--deadline-ms is a number from 30 to 60000 (milliseconds).')
}
