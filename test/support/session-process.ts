import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { SessionManagerOptions } from '../../src/index.js'
import { builtProgram } from './programs.js'

export type Call =
  | { readonly do: 'read'; readonly id: string; readonly label?: string }
  | { readonly do: 'write'; readonly id: string; readonly data: string }
  | { readonly do: 'increment'; readonly id: string; readonly holdMs: number }
  | { readonly do: 'loop'; readonly id: string; readonly holdMs: number; readonly forMs: number }
  | ({ readonly do: 'count' } & CountJob)
  | { readonly do: 'hold'; readonly mutex: string; readonly label?: string }
  | { readonly do: 'close' | 'stats' | 'end' }

/** Increments `n` of sessions, `atOnce` requests at a time, until so many were acknowledged or the time is over. */
export interface CountJob {
  readonly ids: readonly string[]
  readonly holdMs: number
  readonly times?: number
  readonly forMs?: number
  readonly atOnce: number
}

/** How many increments of each session were acknowledged, and which errors there were instead. */
export interface Counted {
  readonly counts: Readonly<Record<string, number>>
  readonly errors: Readonly<Record<string, number>>
}

/** The result of a call: its value, or the code of its error. */
export type Result = { readonly value: unknown } | { readonly code: string }

const MAIN = fileURLToPath(new URL('./session-process-main.ts', import.meta.url))

const alive = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

/** A real process with a manager of its own. A test tells it what to do, and can stop and kill it. */
export class SessionProcess {
  private seq = 0
  private readonly pending = new Map<number, (result: Result) => void>()

  private constructor(private readonly child: ChildProcess) {
    child.on('message', (message: { seq: number; result: Result }) => {
      this.pending.get(message.seq)?.(message.result)
      this.pending.delete(message.seq)
    })
    child.on('exit', () => {
      for (const settle of this.pending.values()) settle({ code: 'PROCESS_DIED' })
    })
  }

  static async start(options: SessionManagerOptions): Promise<SessionProcess> {
    const child = fork(await builtProgram(MAIN), { execArgv: [], env: { ...process.env, MANAGER_OPTIONS: JSON.stringify(options) } })
    alive.add(child)
    child.once('exit', () => alive.delete(child))
    const started = new SessionProcess(child)
    await started.call({ do: 'stats' })
    return started
  }

  call(call: Call): Promise<Result> {
    return new Promise((resolve) => {
      // A process that could not be started, for example: its end was told before anybody waited.
      if (this.child.exitCode !== null || this.child.signalCode !== null) return resolve({ code: 'PROCESS_DIED' })
      const seq = this.seq++
      this.pending.set(seq, resolve)
      this.child.send({ seq, call })
    })
  }

  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    this.child.kill(name)
  }

  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const gone = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await gone
  }
}
