import { parseArgs } from 'node:util'

const ENGINES = ['memcached', 'redis'] as const
export type Engine = (typeof ENGINES)[number]

export interface SoakOptions {
  readonly minutes: number
  readonly seed: number
  readonly processes: number
  readonly engine: Engine
  /** 0 with a save path of the user's own. */
  readonly servers: number
  /** A directory on disk, in place of servers. */
  readonly savePath: string | undefined
  readonly sessions: number
  /** On how many of the memcached servers each session is kept. */
  readonly replicas: number
  readonly json: boolean
  /** Without locks, to see that the soak notices. */
  readonly unsafe: boolean
}

export const USAGE = `npm run soak -- [options]
  --minutes N     how long to torment; default 2
  --seed N        of what is done to whom; default: a random one, which is printed
  --processes N   default 4
  --engine E      memcached, or redis: one server, that is stopped and restarted empty; default memcached
  --servers N     memcached servers; default 3
  --replicas N    each session on so many of the memcached servers (1, 3 or 5): nothing is excused by a restart; default 1
  --save-path P   file:DIRECTORY, in place of servers: processes are killed and stopped, and nothing else is
  --sessions N    sessions visited at a time; default 12
  --unsafe        without locks: changes are lost, and the soak must say so
  --json          the figures on standard output, for programs`

/** @throws RangeError or TypeError with what is wrong. */
export function parseOptions(args: readonly string[]): SoakOptions | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '2' },
      seed: { type: 'string' },
      processes: { type: 'string', default: '4' },
      engine: { type: 'string', default: 'memcached' },
      servers: { type: 'string' },
      'save-path': { type: 'string' },
      sessions: { type: 'string', default: '12' },
      replicas: { type: 'string', default: '1' },
      json: { type: 'boolean', default: false },
      unsafe: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return 'help'
  const savePath = values['save-path']
  if (savePath?.startsWith('file:') === false) throw new RangeError(`--save-path is ${savePath}; it must be file:DIRECTORY`)
  const engine = ENGINES.find((one) => one === values.engine)
  if (engine === undefined) throw new RangeError(`--engine is ${values.engine}; it must be ${ENGINES.join(' or ')}`)
  if (engine === 'redis' && (values.servers !== undefined || savePath !== undefined)) throw new RangeError('--engine redis has one server, and no save path')
  const replicas = whole('replicas', values.replicas, 1, 9)
  if (replicas > 1 && (engine === 'redis' || savePath !== undefined)) throw new RangeError('--replicas is for memcached servers')
  const servers = values.servers ?? (replicas > 1 ? String(replicas) : undefined) ?? (engine === 'redis' ? '1' : '3')
  return {
    engine,
    minutes: number('minutes', values.minutes, 0.05, 100_000),
    seed: values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : whole('seed', values.seed, 0, 2 ** 31),
    processes: whole('processes', values.processes, 1, 64),
    servers: savePath === undefined ? whole('servers', servers, 1, 16) : 0,
    savePath,
    replicas,
    sessions: whole('sessions', values.sessions, 1, 1000),
    json: values.json,
    unsafe: values.unsafe,
  }
}

function number(name: string, text: string, least: number, most: number): number {
  const value = Number(text)
  if (text.trim() !== '' && value >= least && value <= most) return value
  throw new RangeError(`--${name} is ${text}; it must be a number from ${String(least)} to ${String(most)}`)
}

function whole(name: string, text: string, least: number, most: number): number {
  const value = number(name, text, least, most)
  if (Number.isInteger(value)) return value
  throw new RangeError(`--${name} is ${text}; it must be a whole number`)
}
