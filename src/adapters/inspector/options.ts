import { InvalidOptionError } from '../../errors.js'
import { SessionManager } from '../../session/session-manager.js'
import { checkFunction, fail } from '../../session/option-checks.js'
import type { Clock } from '../../system/clock.js'
import { checkNames } from '../../system/option-names.js'

/** A request of the page, as a guard sees it. */
export interface InspectorRequest {
  readonly method: string
  /** Without the query. */
  readonly path: string
  /** A header by its name; undefined where there is none. */
  header(name: string): string | undefined
  /** The peer's IP address; undefined where it is not known (fetch). Behind a proxy that of the proxy. */
  readonly address: string | undefined
  /** The request of the framework: Express's or Fastify's `req`, Koa's `ctx`, a `Request`. */
  readonly original: unknown
}

/** What a guard answers in place of the page. */
export interface Refusal {
  /** 400 to 499. */
  readonly status: number
  /** For example `{ 'WWW-Authenticate': 'Basic realm="ops"' }`. */
  readonly headers?: Readonly<Record<string, string>>
}

/** Says whether a request may see the page: true, false (403), or what is answered in place of it. */
export type Guard = (request: InspectorRequest) => boolean | Refusal | Promise<boolean | Refusal>

/** A button of the page: for demonstrations. */
export interface Replay {
  readonly label: string
  /** Called when it is pressed; throws nothing. */
  run(): void
}

/** Where the page is, and who may see it. */
export interface InspectorOptions {
  /** The page's path. Default `/latchkey`. */
  readonly path?: string
  /**
   * Who may see the page. Required in production (`NODE_ENV`). Elsewhere, without it, only requests of this machine are
   * answered.
   */
  readonly guard?: Guard
  /** What the page calls the managers, in their order. Default: their `name`. */
  readonly names?: readonly string[]
  /** A button that runs something again. Default: none. */
  readonly replay?: Replay
}

export interface Settings {
  readonly clock: Clock
  readonly path: string
  readonly guard: Guard
  readonly names: readonly string[]
  readonly replay: Replay | undefined
}

const NAMES = new Set(['path', 'guard', 'names', 'replay'])
const OF_REPLAY: ReadonlySet<string> = new Set<keyof Replay>(['label', 'run'])
const NO_GUARD =
  'guard is missing: in production (NODE_ENV) the inspector shows who uses which route, so it must be told who may see it. ' +
  'createInspector(manager, { guard: (request) => request.header(\'authorization\') === ... }).'

/** @throws LATCHKEY_INVALID_OPTION */
export function settingsOf(managers: readonly SessionManager[], options: InspectorOptions): Settings {
  checkNames(options, NAMES)
  const { path = '/latchkey', guard, names = [], replay } = options
  const [first] = managers
  if (first === undefined) throw new InvalidOptionError('manager is missing: createInspector(manager).')
  for (const manager of managers) if (!(manager instanceof SessionManager)) fail('manager', manager, 'a SessionManager')
  if (!(typeof path === 'string' && /^(\/[\w.~-]+)+$/.test(path))) fail('path', path, 'a path such as /latchkey, without a slash at its end')
  checkFunction('guard', guard)
  if (replay !== undefined) checkNames(replay, OF_REPLAY, 'replay')
  if (replay !== undefined && typeof replay.run !== 'function') fail('replay.run', replay.run, 'a function')
  if (guard === undefined && process.env['NODE_ENV'] === 'production') throw new InvalidOptionError(NO_GUARD)
  return { clock: first.engine.settings.clock, path, guard: guard ?? isOfThisMachine, names, replay }
}

const LOOPBACK = /^(?:::1|(?:::ffff:)?127\.\d+\.\d+\.\d+)$/
const LOCAL_HOST = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?$/i

/** The Host as well: a page of elsewhere could have its name lead here. */
export function isOfThisMachine(request: InspectorRequest): boolean {
  const { address } = request
  return (address === undefined || LOOPBACK.test(address)) && LOCAL_HOST.test(request.header('host') ?? '')
}
