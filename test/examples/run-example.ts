/** Runs an example as a user would: a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { builtProgram } from '../support/programs.js'

export interface Run {
  readonly child: ChildProcess
  /** Resolves as soon as standard output holds the text. */
  printed(text: string): Promise<void>
  readonly ended: Promise<Ended>
}

export interface Ended {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
  readonly tookMs: number
}

const root = fileURLToPath(new URL('../..', import.meta.url))

type Environment = Readonly<Record<string, string | undefined>>

/**
 * As `tsx main.ts`, but without the process that tsx puts before it: that one kills a program which does not answer
 * a signal within 60 ms, which a busy machine cannot promise.
 */
export function startExample(example: 'redis' | 'deployment' | 'failover', args: readonly string[], env: Environment = {}): Run {
  return start(process.execPath, ['--import', 'tsx', `examples/${example}/main.ts`, ...args], env)
}

export const runExample = (example: Parameters<typeof startExample>[0], args: readonly string[], env?: Environment): Promise<Ended> =>
  startExample(example, args, env).ended

/** What the examples that are started often need beside them. */
const BESIDE = { cluster: ['worker.ts'], demo: [], php: ['shop.php'] } as const
type Built = keyof typeof BESIDE

/** An example as JavaScript: it is started so often here that the compiler would take longer than what is tested. */
export async function startBuilt(example: Built, args: readonly string[], env: Environment = {}): Promise<Run> {
  const [main = '', ...beside] = ['main.ts', ...BESIDE[example]].map((name) => join(root, 'examples', example, name))
  return start(process.execPath, [await builtProgram(main, ...beside), ...args], env)
}

export async function runBuilt(example: Built, args: readonly string[], env?: Environment): Promise<Ended> {
  const { ended } = await startBuilt(example, args, env)
  return ended
}

export const runNpm = (args: readonly string[], env: Environment = {}): Promise<Ended> => start('npm', args, env).ended

function start(command: string, args: readonly string[], env: Environment): Run {
  const startedMs = performance.now()
  const child = spawn(command, args, {
    cwd: root,
    // A group of its own, so that a test can ask whether anything of it is left.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    // Nothing of our own environment decides where an example keeps its sessions.
    env: { ...process.env, MEMCACHE_SERVERS: undefined, NO_COLOR: undefined, FORCE_COLOR: undefined, ...env },
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (exitCode) => resolve({ exitCode, stdout, stderr, tookMs: performance.now() - startedMs }))
  })
  const printed = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (stdout.includes(text) || stderr.includes(text)) resolve()
      }
      child.stdout.on('data', look)
      child.stderr.on('data', look)
      child.once('close', () => reject(new Error(`It ended before it printed ${JSON.stringify(text)}: ${stdout}${stderr}`)))
      look()
    })
  return { child, printed, ended }
}

/**
 * Whether a process of the group that `child` led still runs. The dead that nobody has collected yet do not count:
 * tsx leaves its compiler to init.
 */
export function isGroupAlive({ pid }: ChildProcess): boolean {
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return processes.some((process) => {
    const [state, , group] = statOf(process)
    return Number(group) === pid && state !== 'Z' && state !== 'X'
  })
}

/** proc(5): "pid (name) state ppid pgrp ..."; the name may hold anything, the last bracket ends it. */
function statOf(process: string): string[] {
  try {
    const text = readFileSync(`/proc/${process}/stat`, 'latin1')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return []
  }
}

/** The servers, as a run has printed them. */
export const addressesIn = (text: string): string[] => [...text.matchAll(/127\.0\.0\.1:\d+/g)].map(([address]) => address)

/** Whether something still listens at an address that a run has printed. */
export const anyAnswers = async (text: string): Promise<boolean> => (await Promise.all(addressesIn(text).map(answersAt))).includes(true)

export const answersAt = (address: string): Promise<boolean> =>
  new Promise((resolve) => {
    const [host, port] = address.split(':')
    const socket = connect(Number(port), host)
    const done = (answers: boolean): void => {
      socket.destroy()
      resolve(answers)
    }
    socket.once('connect', () => done(true)).once('error', () => done(false))
  })
