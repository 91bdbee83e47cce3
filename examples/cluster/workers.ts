import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Store } from '../demo/store.js'

export interface WorkerStats {
  readonly polls: number
  readonly handOffs: number
  readonly grants: number
}

export interface Workers {
  /** The one port that they all serve. */
  readonly port: number
  /** Aborts when a worker ends that was not told to. */
  readonly failed: AbortSignal
  /** By process id. */
  stats(): Promise<Map<number, WorkerStats>>
  /** Resolves when every process is gone. */
  stop(): Promise<void>
}

const STOP_DEADLINE_MS = 2000
/** TypeScript as this file, or JavaScript where both were compiled. */
const WORKER = fileURLToPath(new URL(`./worker${extname(import.meta.url)}`, import.meta.url))
const OPTIONS_VARIABLE = 'EXAMPLE_SESSION_OPTIONS'

type SharedOptions = Store['options']

/** Starts `count` processes; resolves when all of them listen. */
export async function startWorkers(count: number, options: SharedOptions, signal: AbortSignal): Promise<Workers> {
  // Connections are dealt out in turn; left to the kernel, some processes would get most of them.
  cluster.schedulingPolicy = cluster.SCHED_RR
  cluster.setupPrimary({ exec: WORKER })
  const failure = new AbortController()
  let stopping = false
  const workers = Array.from({ length: count }, () => cluster.fork({ [OPTIONS_VARIABLE]: JSON.stringify(options) }))
  const listening = new Set<Worker>()
  for (const worker of workers) {
    worker.once('listening', () => listening.add(worker))
    worker.on('error', (error) => failure.abort(error))
    worker.once('exit', (code, killedBy) => {
      if (stopping) return
      const how = killedBy === '' ? `exit code ${String(code)}` : killedBy
      failure.abort(new Error(`A worker ended before its time (${how}).`))
    })
  }
  const stop = async (): Promise<void> => {
    stopping = true
    await Promise.all(workers.map((worker) => end(worker, listening.has(worker))))
  }
  try {
    const ended = AbortSignal.any([signal, failure.signal])
    const ports = await Promise.all(workers.map((worker) => portOf(worker, ended)))
    const [port] = ports
    if (port === undefined || ports.some((one) => one !== port)) throw new Error('The workers share no port.')
    return {
      port,
      failed: failure.signal,
      stats: async () => new Map(await Promise.all(workers.map((worker) => statsOf(worker, ended)))),
      stop,
    }
  } catch (error) {
    await stop()
    throw failure.signal.aborted ? failure.signal.reason : error
  }
}

/** In a worker: what the first process configured. */
export function optionsOfThisWorker(): SharedOptions {
  const options: unknown = JSON.parse(process.env[OPTIONS_VARIABLE] ?? 'null')
  if (typeof options !== 'object' || options === null) throw new Error('Start main.ts; it starts the workers.')
  return options
}

async function portOf(worker: Worker, signal: AbortSignal): Promise<number> {
  const [address]: unknown[] = await once(worker, 'listening', { signal })
  return numberIn(address, 'port')
}

async function statsOf(worker: Worker, signal: AbortSignal): Promise<[number, WorkerStats]> {
  const answer = once(worker, 'message', { signal })
  worker.send('stats')
  const [stats]: unknown[] = await answer
  const of = (name: keyof WorkerStats): number => numberIn(stats, name)
  return [worker.process.pid ?? 0, { polls: of('polls'), handOffs: of('handOffs'), grants: of('grants') }]
}

async function end(worker: Worker, canListen: boolean): Promise<void> {
  if (worker.isDead()) return
  const gone = once(worker, 'exit')
  if (!canListen) worker.process.kill('SIGKILL')
  const impatience = setTimeout(() => worker.process.kill('SIGKILL'), STOP_DEADLINE_MS)
  if (worker.isConnected()) worker.send('stop', () => undefined)
  await gone
  clearTimeout(impatience)
}

function numberIn(value: unknown, name: string): number {
  const found: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
  if (typeof found !== 'number') throw new Error(`A worker sent no ${name}.`)
  return found
}
