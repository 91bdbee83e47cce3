/** The worker processes of a soak: started, told the epoch, stopped, and killed. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { FromWorker, ToWorker, WorkerSetup } from './messages.js'

const MAIN = fileURLToPath(new URL('./worker.ts', import.meta.url))

export interface CrewOptions {
  readonly size: number
  readonly savePath: string
  readonly sessions: number
  readonly seed: number
  readonly locking: boolean
  readonly onMessage: (message: FromWorker, worker: string) => void
  /** It died before its work was done; what it has not told will never be told. */
  readonly onDied: (worker: string) => void
}

interface Worker {
  readonly name: string
  readonly child: ChildProcess
  /** Resolves when it is gone and all that it had told has been heard. */
  readonly gone: Promise<void>
  /** What was asked of it last: one that is gone while it should work, or ends with an error, is a bug. */
  asked: 'work' | 'stop' | 'die'
}

export class Crew {
  private readonly workers: (Worker | undefined)[]
  private started = 0
  private epoch = 0

  constructor(private readonly options: CrewOptions) {
    this.workers = Array.from({ length: options.size }, () => undefined)
    process.once('exit', () => {
      for (const worker of this.workers) worker?.child.kill('SIGKILL')
    })
  }

  get size(): number {
    return this.options.size
  }

  /** Resolves when it is at work. */
  async start(index: number): Promise<void> {
    const { savePath, sessions, seed, locking } = this.options
    const name = `p${String(index)}.${String(++this.started)}`
    const setup: WorkerSetup = { name, savePath, sessions, locking, seed: seed + this.started, epoch: this.epoch }
    const env = { ...process.env, SOAK_WORKER: JSON.stringify(setup) }
    const child = fork(MAIN, { execArgv: ['--import', 'tsx'], env })
    const gone = Promise.all([once(child, 'exit'), once(child, 'disconnect')]).then(() => this.onGone(worker))
    const worker: Worker = { name, child, gone, asked: 'work' }
    this.workers[index] = worker
    await new Promise<void>((resolve) => {
      child.on('message', (message: FromWorker) => {
        if (message.kind === 'ready') {
          this.tell(child)
          resolve()
        }
        this.options.onMessage(message, name)
      })
      child.once('exit', () => resolve())
    })
  }

  /** From now on sessions of this epoch are visited. */
  enter(epoch: number): void {
    this.epoch = epoch
    for (const worker of this.workers) if (worker !== undefined) this.tell(worker.child)
  }

  pause(index: number): void {
    this.workers[index]?.child.kill('SIGSTOP')
  }

  resume(index: number): void {
    this.workers[index]?.child.kill('SIGCONT')
  }

  /** Resolves when it is gone and all that it had told has been heard. */
  async kill(index: number): Promise<void> {
    const worker = this.workers[index]
    if (worker !== undefined) await this.killed(worker)
  }

  /** Lets all finish; the names of those that did not end by themselves within `ms`. */
  async stop(ms: number): Promise<string[]> {
    const left: string[] = []
    await Promise.all(
      this.workers.map(async (worker) => {
        if (worker === undefined) return
        if (worker.asked === 'work') worker.asked = 'stop'
        this.send(worker.child, 'stop')
        const timeout = new Promise<boolean>((resolve) => setTimeout(resolve, ms, false).unref())
        if (await Promise.race([worker.gone.then(() => true), timeout])) return
        left.push(worker.name)
        await this.killed(worker)
      }),
    )
    return left
  }

  private async killed(worker: Worker): Promise<void> {
    worker.asked = 'die'
    worker.child.kill('SIGKILL')
    await worker.gone
  }

  private onGone({ name, child, asked }: Worker): void {
    if (asked === 'stop' && child.exitCode === 0) return
    this.options.onDied(name)
    if (asked !== 'die') this.options.onMessage({ kind: 'bug', text: `died by itself (${child.signalCode ?? String(child.exitCode)})` }, name)
  }

  private tell(child: ChildProcess): void {
    this.send(child, { epoch: this.epoch })
  }

  private send(child: ChildProcess, message: ToWorker): void {
    // One that is being killed hears nothing any more.
    if (child.connected) child.send(message, () => undefined)
  }
}
