import { InvalidOptionError } from '../errors.js'
import { type Clock, systemClock } from '../system/clock.js'
import type { Neighbours } from '../neighbours/neighbours.js'
import { checkNames } from '../system/option-names.js'
import { type Random, systemRandom } from '../system/random.js'
import type { Wire } from '../wire/wire.js'
import type { Dialect } from './dialect/dialect.js'
import { dialectOf } from './dialect/dialect-of.js'
import type { PhpOptions } from './dialect/php-options.js'
import { checkFlag, checkNumber, fail, shown, withMethods } from './option-checks.js'
import type { CompressionOptions } from './records/compression.js'
import type { EncryptionOptions } from './records/keyring.js'
import type { Serializer } from './serializer.js'

/** Every option of a SessionManager. All have a default; the unit of a number is in its name. */
export interface SessionManagerOptions {
  /**
   * Where sessions are kept, in PHP's form: `tcp://10.0.0.1:11211,tcp://10.0.0.2:11211?weight=2`,
   * `tls://user:password@host:11211`, `unix:///run/memcached.sock`; or `memory:`, inside this process.
   * Default `memory:`.
   */
  readonly savePath?: string
  /**
   * A client that the application has, to a Redis or Valkey, in place of `savePath`: of ioredis (also with Sentinel, or its
   * Cluster), iovalkey, node-redis (`redis` 5 or later; also `createCluster`) or @valkey/valkey-glide. A connection is opened
   * by its options and closed with the manager; glide's own is used, and left open. Slower than `redis://`. Default none.
   */
  readonly client?: object
  /** Goes before every key. Visible ASCII, up to 100 bytes. Default `sess:`. */
  readonly prefix?: string
  /** Seconds that a record lives after its last write or touch. At least 1. Default 1440, as in PHP. */
  readonly lifetimeSec?: number
  /**
   * Seconds that a regenerated session's old record stays as a copy that is only read, for the requests that are under
   * way with the old id. 0 to 3600. Default 0: it is destroyed.
   */
  readonly retiredCopySec?: number
  /** Seconds that a lock lives when its holder dies; a live holder renews it. 2 to 3600. Default 15. */
  readonly leaseSec?: number
  /** Milliseconds that a request waits for a locked session. 0 (try once) to 600 000. Default 20 000. */
  readonly waitMs?: number
  /** Milliseconds after which a session is taken from a request that still holds it. At least 100. Default 60 000. */
  readonly maxHoldMs?: number
  /**
   * Milliseconds after which a session that is still held is reported, by the event `slow` of the manager, once for
   * each label. 0: never. At most 86 400 000. Default 5000.
   */
  readonly slowHoldMs?: number
  /** Requests of one process that may wait for one session; one more is refused. At least 1. Default 1000. */
  readonly maxWaiters?: number
  /** Milliseconds that any call but a waiting read may take. 30 to 60 000. Default 3000. */
  readonly deadlineMs?: number
  /** Connections to each server, at most. 1 to 64. Default 3. */
  readonly connections?: number
  /** `false`: UNSAFE. Read, and later write over whatever is there, as stores without a lock do. Default true. */
  readonly locking?: boolean
  /** What holders call themselves where the call gives no label of its own. Default none. */
  readonly label?: string
  /** Turns session data into text and back; superjson and devalue can be given as they are. Default JSON. */
  readonly serializer?: Serializer
  /** AES-256-GCM for every record. Costs no flight; 20 to 40 µs of CPU a request. Default none: they are in clear. */
  readonly encryption?: EncryptionOptions
  /** Brotli for large records, before encryption. Costs no flight. Default none; compressed ones are read anyway. */
  readonly compression?: CompressionOptions
  /**
   * A directory in which the processes of this host tell each other that a session is free, by unix sockets, so that who
   * waits for one of another process has it at once; `false`: they ask the store, again and again. Entered by this user
   * alone (mode 0700; made if it is missing), and the same for all processes. Default: `latchkey-<uid>` in the system's
   * directory for temporary files; none with `memory:`, and on Windows. On Redis processes of other hosts are told as well,
   * through Redis; by `false` they are not.
   */
  readonly bellDirectory?: string | false
  /**
   * Shares live sessions with PHP: its keys, its lock, its format. The servers in `savePath`, in the order and the words of
   * PHP's. Not with `prefix`, `serializer`, `encryption`, `compression` or `retiredCopySec`. Default: latchkey's own way.
   */
  readonly php?: PhpOptions
  /** A wire of your own in place of `savePath`; `close()` closes it. For tests. */
  readonly wire?: Wire
  /** For tests. Default: the system's. */
  readonly clock?: Clock
  /** For tests. Default: the system's. */
  readonly random?: Random
  /** For tests: other processes of this host. Default: those in `bellDirectory`. */
  readonly neighbours?: Neighbours
}

type Optional = 'wire' | 'client' | 'label' | 'bellDirectory' | 'neighbours'
/** What the dialect is made of. */
type OfDialect = 'prefix' | 'serializer' | 'encryption' | 'compression' | 'php'
export type Settings = Required<Omit<SessionManagerOptions, Optional | OfDialect>> & {
  /** Whether lifetimeSec was given; an adapter may know a better default. */
  readonly isLifetimeGiven: boolean
  readonly wire: Wire | undefined
  readonly client: object | undefined
  readonly label: string | undefined
  readonly bellDirectory: string | false | undefined
  readonly neighbours: Neighbours | undefined
  /** Where and how sessions are kept. Holds no secret that could be shown. */
  readonly dialect: Dialect
}

const RANGES = {
  lifetimeSec: [1, 100 * 365 * 86_400],
  retiredCopySec: [0, 3600],
  leaseSec: [2, 3600],
  waitMs: [0, 600_000],
  maxHoldMs: [100, 86_400_000],
  slowHoldMs: [0, 86_400_000],
  maxWaiters: [1, 1_000_000],
  deadlineMs: [30, 60_000],
  connections: [1, 64],
} as const

const KNOWN = new Set<string>([
  ...Object.keys(RANGES),
  ...['savePath', 'prefix', 'locking', 'label', 'serializer', 'encryption', 'compression', 'wire', 'clock', 'random'],
  ...['bellDirectory', 'neighbours', 'php', 'client'],
])

/**
 * The options with their defaults.
 *
 * @throws InvalidOptionError LATCHKEY_INVALID_OPTION: unknown or out of range, with the value and the limit.
 */
export function settingsOf(options: SessionManagerOptions): Settings {
  const given: unknown = options
  if (typeof given === 'string') throw new InvalidOptionError("The save path is an option: new SessionManager({ savePath: 'tcp://...' }).")
  checkNames(options, KNOWN)
  checkClient(options)
  checkFlag('locking', options.locking)
  return {
    client: options.client,
    savePath: text('savePath', options.savePath) ?? 'memory:',
    lifetimeSec: checkedSec(options, 'lifetimeSec', 1440),
    isLifetimeGiven: options.lifetimeSec !== undefined,
    retiredCopySec: checkedSec(options, 'retiredCopySec', 0),
    leaseSec: checkedSec(options, 'leaseSec', 15),
    waitMs: checked(options, 'waitMs', 20_000),
    maxHoldMs: checked(options, 'maxHoldMs', 60_000),
    slowHoldMs: checked(options, 'slowHoldMs', 5000),
    maxWaiters: checkedSec(options, 'maxWaiters', 1000),
    deadlineMs: checked(options, 'deadlineMs', 3000),
    connections: checkedSec(options, 'connections', 3),
    locking: options.locking ?? true,
    label: text('label', options.label),
    dialect: dialectOf(options),
    wire: withMethods('wire', options.wire, ['flight', 'maxValueBytes', 'sweep', 'close']),
    clock: withMethods('clock', options.clock, ['nowMs', 'wallMs', 'setTimer']) ?? systemClock,
    random: withMethods('random', options.random, ['bytes', 'fraction']) ?? systemRandom,
    bellDirectory: options.bellDirectory === false ? false : text('bellDirectory', options.bellDirectory),
    neighbours: withMethods('neighbours', options.neighbours, ['open', 'call']),
  }
}

/** A record's lifetime that came with a call: whole seconds, at least 1. */
export function checkedLifetimeSec(lifetimeSec: number): number {
  // Math.ceil() would turn a string into a number.
  return whole('lifetimeSec', typeof lifetimeSec === 'number' ? Math.ceil(lifetimeSec) : lifetimeSec)
}

/** What `start` and `run` are given, as far as it is checked here. */
interface Starting {
  readonly lifetimeSec?: number | undefined
  readonly strict?: boolean
  readonly readOnly?: boolean
  readonly ifExists?: boolean
}

/** The options of `start` and `run`, before anything is sent or waited for. */
export function checkStartOptions(id: string | undefined, options: Starting): void {
  checkNames(options, START_OPTIONS)
  if (options.lifetimeSec !== undefined) checkedLifetimeSec(options.lifetimeSec)
  for (const name of FLAGS) checkFlag(name, options[name])
  if (options.ifExists !== true) return
  if (id === undefined) throw new InvalidOptionError('ifExists asks for a session that is stored, and no id was given.')
  if (options.strict === true) {
    throw new InvalidOptionError('strict begins a new session where none is stored, and ifExists refuses to: give one of them.')
  }
}

const FLAGS = ['strict', 'readOnly', 'ifExists'] as const
const START_OPTIONS = new Set(['lifetimeSec', 'signal', 'label', ...FLAGS])

const MAX_CLOSE_GRACE_MS = 3_600_000

const CLOSE_OPTIONS = new Set(['graceMs'])

/** How long holders may go on when their manager closes: 0 to 3 600 000 ms. */
export function closeGraceMsOf(options: { readonly graceMs?: number }): number {
  checkNames(options, CLOSE_OPTIONS)
  const { graceMs = 5000 } = options
  checkNumber('graceMs', graceMs, 0, MAX_CLOSE_GRACE_MS)
  return graceMs
}

/** How long a retired copy stays, where that came with a call: whole seconds, 0 to 3600. */
export function checkedRetiredCopySec(retiredCopySec: number): number {
  return whole('retiredCopySec', retiredCopySec)
}

type Ranged = keyof typeof RANGES

const checked = (options: SessionManagerOptions, name: Ranged, fallback: number): number => inRange(name, options[name] ?? fallback)
const checkedSec = (options: SessionManagerOptions, name: Ranged, fallback: number): number => whole(name, options[name] ?? fallback)

function inRange(name: Ranged, value: number): number {
  const [least, most] = RANGES[name]
  if (typeof value === 'number' && value >= least && value <= most) return value
  return fail(name, value, `a number from ${String(least)} to ${String(most)}`)
}

/** memcached's clock knows no fractions of a second, and there are no half waiters or connections. */
function whole(name: Ranged, value: number): number {
  return Number.isInteger(inRange(name, value)) ? value : fail(name, value, 'a whole number')
}

function text(name: string, value: string | undefined): string | undefined {
  if (value === undefined || typeof value === 'string') return value
  return fail(name, value, 'a string')
}

/** @throws InvalidOptionError LATCHKEY_INVALID_OPTION: there is another place where sessions would be kept. */
function checkClient({ client, savePath, wire, php }: SessionManagerOptions): void {
  if (client === undefined) return
  if (typeof client !== 'object' || client === null) throw new InvalidOptionError(`client: ${shown(client)} is no client of a Redis.`)
  const other = Object.entries({ savePath, wire, php }).find(([, value]) => value !== undefined)
  if (other !== undefined) throw new InvalidOptionError(`client: it stands in place of ${other[0]}, and both were given.`)
}
