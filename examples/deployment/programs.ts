import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, chmodSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

export class NotInstalledError extends Error {}

/** Debian keeps daemons where not every user's PATH leads. */
const PLACES = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']

const PACKAGES = { nginx: 'nginx-light', memcached: 'memcached' } as const

export type ProgramName = keyof typeof PACKAGES

/** @throws NotInstalledError, which says what is missing and how it is installed. */
export function findPrograms(): Readonly<Record<ProgramName, string>> {
  const found = { nginx: placeOf('nginx'), memcached: placeOf('memcached') }
  const { nginx, memcached } = found
  if (nginx !== undefined && memcached !== undefined) return { nginx, memcached }
  const missing = (['nginx', 'memcached'] as const).filter((name) => found[name] === undefined)
  const packages = missing.map((name) => PACKAGES[name]).join(' ')
  throw new NotInstalledError(`this example needs ${missing.join(' and ')}. Install: apt-get install ${packages} (Debian, Ubuntu)`)
}

const placeOf = (program: string): string | undefined =>
  PLACES.map((place) => join(place, program)).find((file) => {
    try {
      accessSync(file, constants.X_OK)
      return true
    } catch {
      return false
    }
  })

/** One program that runs. */
export interface Program {
  readonly pid: number
  /** Resolves with the exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>
  hasEnded(): boolean
  /** The end of what it wrote to standard error. */
  complaint(): string
  signal(name: NodeJS.Signals): void
}

const ONE_STEP_MS = 50

/**
 * Every program of an installation, and their directory. Each leads a group of its own: ctrl-C is for this process, and what
 * serves requests is needed until the last of them is answered. None outlives this process, however it ends: a shell
 * sees its input close then, and kills the groups that it was told of last.
 */
export class Programs {
  readonly directory = mkdtempSync(join(tmpdir(), 'latchkey-example-'))
  private readonly running = new Set<Program>()
  private readonly watchdog: ChildProcess

  constructor() {
    // nginx's workers are another user's, where it is started by root.
    chmodSync(this.directory, 0o711)
    const script = 'groups=; while read -r line; do groups=$line; done; for group in $groups; do kill -s KILL -- "$group"; done; rm -rf "$0"'
    this.watchdog = spawn('sh', ['-c', script, this.directory], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] })
    this.watchdog.on('error', () => undefined).unref()
    this.watchdog.stdin?.on('error', () => undefined)
  }

  start(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Program {
    const child = spawn(command, args, { detached: true, stdio: ['ignore', 'ignore', 'pipe'], env })
    let complaint = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint = (complaint + text).slice(-2000)))
    let isOver = false
    const ended = new Promise<number | NodeJS.Signals>((resolve) => {
      child.once('error', (error) => {
        complaint += error.message
        resolve(127)
      })
      child.once('exit', (code, signal) => resolve(code ?? signal ?? 0))
    }).finally(() => {
      isOver = true
      this.running.delete(program)
      this.tellWatchdog()
    })
    const program: Program = {
      pid: child.pid ?? 0,
      ended,
      hasEnded: () => isOver,
      complaint: () => complaint.trim(),
      signal: (name) => void child.kill(name),
    }
    if (child.pid !== undefined) this.running.add(program)
    this.tellWatchdog()
    return program
  }

  /** What is still there is killed, group by group; resolves when all of it is gone. */
  async end(): Promise<void> {
    const left = [...this.running]
    for (const { pid } of left) killGroup(pid)
    await Promise.all(left.map(({ ended }) => ended))
    for (const { pid } of left) while (killGroup(pid)) await sleep(ONE_STEP_MS)
    this.watchdog.kill('SIGKILL')
    rmSync(this.directory, { recursive: true, force: true })
  }

  private tellWatchdog(): void {
    this.watchdog.stdin?.write(`${[...this.running].map(({ pid }) => `-${String(pid)}`).join(' ')}\n`)
  }
}

/** False: nobody is left in it. */
function killGroup(leader: number): boolean {
  try {
    process.kill(-leader, 'SIGKILL')
    return true
  } catch {
    return false
  }
}

/** Runs a command to its end. @throws with what it wrote to standard error. */
export async function runToEnd(programs: Programs, command: string, args: readonly string[]): Promise<void> {
  const program = programs.start(command, args)
  const code = await program.ended
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${String(code)}. ${program.complaint()}`)
}

interface Waiting {
  readonly program: Program
  readonly signal: AbortSignal
  /** Default 120 s. */
  readonly withinMs?: number
}

/** Looks again and again until it is so. @throws when the program ends first, or it takes too long. */
export async function until(what: string, isSo: () => Promise<boolean>, { program, signal, withinMs = 120_000 }: Waiting): Promise<void> {
  for (const endMs = performance.now() + withinMs; !(await isSo());) {
    if (program.hasEnded()) throw new Error(`${what}: it has ended. ${program.complaint()}`)
    if (performance.now() > endMs) throw new Error(`${what}: not within ${String(withinMs)} ms. ${program.complaint()}`)
    await sleep(ONE_STEP_MS, undefined, { signal })
  }
}
