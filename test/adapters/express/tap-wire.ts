import { FlightError, type Command, type Reply, type Wire } from '../../../src/wire/wire.js'
import { createMemoryWire } from '../../../src/wire/memory/memory-wire.js'
import { StepNames } from '../../support/step-names.js'

type Matches = (commands: readonly Command[]) => boolean

/** A flight that is kept from its server. */
export interface StoppedFlight {
  /** Resolves when it has arrived here. */
  readonly arrived: Promise<void>
  /** Lets it go on; or fail, with nothing sent. */
  go(): void
  fail(): void
}

/** The embedded store; notes every flight, and stops or refuses those it is told to. */
export class TapWire implements Wire {
  readonly flights: (readonly Command[])[] = []
  readonly names = new StepNames()
  /** The store itself. */
  readonly inner = createMemoryWire()
  private readonly stops: { matches: Matches; arrive: () => void; gate: Promise<'go' | 'fail'> }[] = []
  private lossesDue: { readonly count: number; readonly matches: Matches } | undefined
  private readonly refusals: { matches: Matches; status: Reply['status'] }[] = []

  stop(matches: Matches): StoppedFlight {
    let arrive = (): void => undefined
    let open: (verdict: 'go' | 'fail') => void = () => undefined
    const arrived = new Promise<void>((resolve) => (arrive = resolve))
    const gate = new Promise<'go' | 'fail'>((resolve) => (open = resolve))
    this.stops.push({ matches, arrive, gate })
    return { arrived, go: () => open('go'), fail: () => open('fail') }
  }

  /** The next flight that `matches` is answered so, and not carried out. */
  refuse(matches: Matches, status: Reply['status'] = 'outOfMemory'): void {
    this.refusals.push({ matches, status })
  }

  /** The next flight that `matches` is carried out, and neither its reply arrives nor those of the `count` - 1 after it. */
  loseReplies(count: number, matches: Matches): void {
    this.lossesDue = { count, matches }
  }

  async flight(route: string, commands: readonly Command[]): Promise<Reply[]> {
    const due = this.lossesDue
    const isLost = due !== undefined && (due.matches(commands))
    if (isLost) this.lossesDue = due.count > 1 ? { count: due.count - 1, matches: any } : undefined
    const replies = await this.deliver(route, commands)
    if (isLost) throw new FlightError('unknown', 'the reply was lost (planned)')
    return replies
  }

  private async deliver(route: string, commands: readonly Command[]): Promise<Reply[]> {
    this.flights.push(commands)
    this.names.sent(commands)
    const at = this.stops.findIndex(({ matches }) => matches(commands))
    const [stop] = at < 0 ? [] : this.stops.splice(at, 1)
    stop?.arrive()
    if ((await stop?.gate) === 'fail') throw new FlightError('not-sent', 'connect ECONNREFUSED (planned)')
    const refused = this.refusals.findIndex(({ matches }) => matches(commands))
    if (refused < 0) {
      const replies = await this.inner.flight(route, commands)
      this.names.answered(commands, replies)
      return replies
    }
    const [refusal] = this.refusals.splice(refused, 1)
    // Only its write is refused; the lock's exit in the same flight is carried out, as on a server.
    const rest = commands.filter((command) => !isWrite(command))
    const replies = await this.inner.flight(route, rest)
    return commands.map((command) =>
      isWrite(command)
        ? { status: refusal?.status ?? 'outOfMemory', value: undefined, flags: 0, cas: undefined }
        : (replies.shift() ?? { status: 'missing', value: undefined, flags: 0, cas: undefined }),
    )
  }

  maxValueBytes(route: string, key: string): number {
    return this.inner.maxValueBytes(route, key)
  }
  sweep(): number | Promise<number> {
    return this.inner.sweep()
  }
  close(): Promise<void> {
    return this.inner.close()
  }
}

const any: Matches = () => true
const isLockKey = (key: string): boolean => key.endsWith('-lck')
const isWrite = (command: Command): boolean =>
  (command.op === 'cas' || command.op === 'add' || command.op === 'set') && !isLockKey(command.key)

/** A flight that stores a session's record. */
export const storesRecord: Matches = (commands) => commands.some(isWrite)
/** A flight that asks for a session's lock. */
export const asksForLock: Matches = (commands) => commands.some((command) => command.op === 'add' && isLockKey(command.key))
/** A flight that deletes a lock. */
export const freesLock: Matches = (commands) => commands.some((command) => command.op === 'cad' && isLockKey(command.key))
