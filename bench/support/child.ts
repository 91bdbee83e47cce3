/** Processes of our own that are told what to do. */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** What a process does when asked: arguments and results are what JSON can carry. */
export type Api = Readonly<Record<string, (argument: never) => unknown>>

interface Ask {
  readonly seq: number
  readonly name: string
  readonly argument: unknown
}

interface Answer {
  readonly seq: number
  readonly value?: unknown
  readonly error?: string
}

type Settle = (answer: Answer) => void

const alive = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

export class Child<A extends Api> {
  private seq = 0
  private readonly pending = new Map<number, Settle>()

  private constructor(private readonly child: ChildProcess) {
    child.on('message', (answer: Answer) => {
      this.pending.get(answer.seq)?.(answer)
      this.pending.delete(answer.seq)
    })
    child.once('exit', () => {
      alive.delete(child)
      for (const settle of this.pending.values()) settle({ seq: 0, error: 'the process died' })
    })
  }

  /** Starts bench/processes/`file` and waits until it serves. */
  static async start<A extends Api>(file: string, flags: readonly string[] = []): Promise<Child<A>> {
    const path = fileURLToPath(new URL(`../processes/${file}`, import.meta.url))
    const child = fork(path, { execArgv: [...flags, '--import', 'tsx'] })
    alive.add(child)
    await once(child, 'message')
    return new Child<A>(child)
  }

  call<Name extends keyof A & string>(
    name: Name,
    argument: Parameters<A[Name]>[0],
  ): Promise<Awaited<ReturnType<A[Name]>>> {
    return new Promise((resolve, reject) => {
      const ask: Ask = { seq: ++this.seq, name, argument }
      this.pending.set(ask.seq, ({ value, error }) => {
        // The other end of the pipe is the same code: `serve` of an A.
        if (error === undefined) resolve(value as Awaited<ReturnType<A[Name]>>)
        else reject(new Error(`${name}: ${error}`))
      })
      this.child.send(ask)
    })
  }

  stop(): void {
    this.child.kill('SIGKILL')
  }
}

/** The other end, in the process itself. */
export function serve(api: Api): void {
  const answer = (message: Answer): void => void process.send?.(message)
  process.on('message', (ask: Ask) => {
    const work = api[ask.name] as ((argument: unknown) => unknown) | undefined
    const perform = async (): Promise<unknown> => work?.(ask.argument)
    perform().then(
      (value) => {
        answer({ seq: ask.seq, value })
      },
      (error: unknown) => {
        answer({ seq: ask.seq, error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
      },
    )
  })
  answer({ seq: 0 })
}

/** Milliseconds of the clock that all processes of this machine share; never jumps. */
export const sharedNowMs = (): number => Number(process.hrtime.bigint()) / 1e6
