/** The tool as tests run it: in this process with a terminal of the test's own, or as a process. */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from '../../src/cli/run.js'
import type { Terminal } from '../../src/cli/terminal.js'
import { builtProgram } from '../support/programs.js'

export interface Outcome {
  readonly exitCode: number | null
  readonly out: string
  readonly err: string
}

export interface Surroundings {
  readonly env?: Readonly<Record<string, string>>
  /** Whether a person reads the output. Default false: JSON. */
  readonly isRead?: boolean
  /** What a person answers; without it there is nobody to ask. */
  readonly answer?: (question: string) => Promise<string> | string
  /** Standard input. */
  readonly input?: string
  readonly wallMs?: () => number
  readonly signal?: AbortSignal
}

/** In place of the tool's 3 s, of which 0.4 are for one of several nodes: beside much other work a server answers later than that. */
export const PATIENT = ['--deadline-ms', '30000']

/** With a long deadline, unless the arguments have one. */
export async function latchkey(args: readonly string[], surroundings: Surroundings = {}): Promise<Outcome> {
  const { env = {}, isRead = false, answer, input = '', wallMs = Date.now } = surroundings
  const { signal = new AbortController().signal } = surroundings
  let out = ''
  let err = ''
  const terminal: Terminal = {
    env,
    isRead,
    canAsk: answer !== undefined,
    wallMs,
    out: (text) => (out += text),
    err: (text) => (err += text),
    ask: async (question) => (await answer?.(question)) ?? '',
    readLine: async () => input,
    readText: async (_file, limitBytes) => (Buffer.byteLength(input) > limitBytes ? undefined : input),
  }
  const exitCode = await run(args.length === 0 || args.includes('--deadline-ms') ? args : [...PATIENT, ...args], terminal, signal)
  return { exitCode, out, err }
}

/** A run's JSON, for `toMatchObject`. */
export const jsonOf = ({ out, err }: Outcome): unknown => {
  if (out === '') throw new Error(`no output: ${err}`)
  return JSON.parse(out)
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** The tool as a program of its own: its file. */
export const buildTool = (): Promise<string> => builtProgram(join(ROOT, 'src/cli/main.ts'))

export interface Spawned {
  readonly child: ChildProcess
  readonly ended: Promise<Outcome>
}

export function spawnTool(tool: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Spawned {
  const child = spawn(process.execPath, [tool, ...args], {
    cwd: ROOT,
    env: { ...process.env, MEMCACHE_SERVERS: undefined, LATCHKEY_SAVE_PATH: undefined, ...env },
  })
  let out = ''
  let err = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text))
  const ended = new Promise<Outcome>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (exitCode) => resolve({ exitCode, out, err }))
  })
  return { child, ended }
}
