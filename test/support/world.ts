import { SessionManager, type SessionManagerOptions } from 'latchkey'
import { SeededRandom, VirtualClock } from 'latchkey/testing'
import { type Command, FlightError, type Reply, type Status, type Wire } from '../../src/wire/wire.js'
import { createMemoryWire } from '../../src/wire/memory/memory-wire.js'
import { StepNames } from './step-names.js'

/**
 * What happens to a flight: it is not sent; the request or the reply is lost; or it is carried out `laterMs` after it
 * has failed (`zombie`).
 */
type Fault =
  | { readonly kind: 'not-sent' | 'lost-request' | 'lost-reply' | 'untrusted' }
  | { readonly kind: 'zombie'; readonly laterMs: number }

interface Planned {
  readonly fault: Fault
  readonly matches: (commands: readonly Command[]) => boolean
}

/** A wire that notes every flight, and makes the flights fail that a test has planned to. */
export class FaultyWire implements Wire {
  readonly flights: (readonly Command[])[] = []
  readonly names = new StepNames()
  /** How long a flight takes to reach the server. */
  latencyMs = 0
  private readonly planned: Planned[] = []
  private readonly answers: { readonly op: Command['op']; readonly status: Status }[] = []

  constructor(
    private readonly inner: Wire,
    private readonly clock: VirtualClock,
  ) {}

  /** Makes the next flight fail that has a command of kind `op` on a key that ends in `suffix`. */
  failNext(fault: Fault, op: Command['op'], suffix = ''): void {
    const matches = (commands: readonly Command[]): boolean =>
      commands.some((command) => command.op === op && command.key.endsWith(suffix))
    this.planned.push({ fault, matches })
  }

  /** Answers the next flight that has a command of kind `op` with `status`, without sending it to the server. */
  answerNext(op: Command['op'], status: Status): void {
    this.answers.push({ op, status })
  }

  get commandCount(): number {
    return this.flights.reduce((sum, commands) => sum + commands.length, 0)
  }

  async flight(route: string, commands: readonly Command[]): Promise<Reply[]> {
    this.flights.push(commands)
    this.names.sent(commands)
    const at = this.planned.findIndex(({ matches }) => matches(commands))
    const fault = at < 0 ? undefined : this.planned.splice(at, 1)[0]?.fault
    if (this.latencyMs > 0) await new Promise<void>((resolve) => this.clock.setTimer(resolve, this.latencyMs))
    switch (fault?.kind) {
      case undefined:
        return this.forged(commands) ?? this.carriedOut(route, commands)
      case 'not-sent':
        throw new FlightError('not-sent', 'connect ECONNREFUSED (planned)')
      case 'untrusted':
        throw new FlightError('not-sent', 'a younger connection (planned)', { untrusted: true })
      case 'lost-reply':
        await this.inner.flight(route, commands)
        throw new FlightError('unknown', 'the reply was lost (planned)')
      case 'zombie':
        this.clock.setTimer(() => void this.inner.flight(route, commands), fault.laterMs)
        throw new FlightError('unknown', 'no answer (planned)')
      case 'lost-request':
        throw new FlightError('unknown', 'the request was lost (planned)')
    }
  }

  private async carriedOut(route: string, commands: readonly Command[]): Promise<Reply[]> {
    const replies = await this.inner.flight(route, commands)
    this.names.answered(commands, replies)
    return replies
  }

  private forged(commands: readonly Command[]): Promise<Reply[]> | undefined {
    const answer = this.answers.find(({ op }) => commands.some((command) => command.op === op))
    if (answer === undefined) return undefined
    this.answers.splice(this.answers.indexOf(answer), 1)
    const reply = (command: Command): Reply => ({
      status: command.op === answer.op ? answer.status : 'missing',
      value: undefined,
      flags: 0,
      cas: undefined,
    })
    return Promise.resolve(commands.map(reply))
  }

  maxValueBytes(route: string, key: string): number {
    return this.inner.maxValueBytes(route, key)
  }
  sweep(): number | Promise<number> {
    return this.inner.sweep()
  }
  async close(): Promise<void> {
    // The world's store goes on when one of its processes ends.
  }
}

/** One virtual memcached, and the processes that share it. */
export class World {
  readonly clock = new VirtualClock()
  readonly server = createMemoryWire({ clock: this.clock })
  private seed = 1

  /** Makes a "process": a manager with its own instance ids, connections and queues. */
  process(options: SessionManagerOptions = {}): { manager: SessionManager; wire: FaultyWire } {
    const wire = new FaultyWire(this.server, this.clock)
    const random = new SeededRandom(this.seed++)
    return { manager: new SessionManager({ wire, clock: this.clock, random, ...options }), wire }
  }

  /** Waits in virtual time. */
  pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.clock.setTimer(resolve, ms))
  }

  /** Moves the clock until the promise settles. */
  until<T>(promise: Promise<T>, limitMs?: number): Promise<T> {
    return this.clock.runUntil(promise, limitMs)
  }

  async get(key: string): Promise<string | undefined> {
    const [reply] = await this.server.flight('', [{ op: 'get', key }])
    return reply?.value?.toString()
  }

  /** Evicts the item, as a full server does. */
  async evict(key: string): Promise<void> {
    await this.server.flight('', [{ op: 'delete', key }])
  }
}

/** The code that a promise rejects with; fails when the promise does not reject. */
export async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error
  }
  throw new Error('it did not reject')
}
