import type { Timer } from '../../../src/system/clock.js'
import { cycleByFlights } from '../../../src/wire/cycle.js'
import { areSameBytes, type Command, failLater, FlightError, type Receiver, type Reply, type Wire } from '../../../src/wire/wire.js'
import { isLockLike, newVersion } from '../../../src/wire/memcached/own-versions.js'
import { casOf } from '../../../src/wire/memcached/version.js'
import { TrustByAge } from '../../../src/wire/socket/trust.js'
import type { SeededRandom } from '../../../src/testing/seeded-random.js'
import type { Origin, SimulatedServer } from './server.js'
import type { SimulatedHost, SimulatedTime } from './time.js'

/**
 * What happens to one flight on its way.
 *
 * - `pass`: the flight arrives, and so do its replies.
 * - `refused`: the connection breaks before a byte is written.
 * - `lost`: the flight never arrives. `mute`: the flight is carried out, but no reply arrives.
 * - `partial`: the first `commands` are carried out; the other commands and all replies never arrive.
 * - `zombie`: the sender gives the flight up, and its commands from `commands` on are carried out later (`laterMs`).
 * - `unclear`: the first `commands` are carried out, and an error comes in place of all replies: the server refused to
 *   read, or a proxy gave up waiting.
 *
 * Whichever it is, a proxy with several connections to the server may let the flight's commands overtake each other.
 */
export interface Fate {
  readonly kind: 'pass' | 'refused' | 'lost' | 'mute' | 'partial' | 'zombie' | 'unclear'
  readonly upMs: number
  readonly downMs: number
  /**
   * The time between the flight's commands. Their order is kept, but commands of other connections may come in between.
   */
  readonly gapMs: number
  readonly laterMs: number
  readonly commands: number
  /** When the sender sees that the connection is dead; undefined: at the flight's deadline. */
  readonly noticedMs: number | undefined
  /** Puts the flight's steps in the order in which they are carried out; undefined: they keep theirs. */
  readonly shuffle?: ((steps: readonly Step[]) => readonly Step[]) | undefined
}

/** A part of a command that the server carries out at once; what it answers stands in `replies`. */
type Step = (replies: Reply[], origin: Origin) => void

/** What a proxy says for a server that is away. */
const AWAY = new FlightError('unknown', 'SERVER_ERROR Connection refused', { answer: 'SERVER_ERROR Connection refused' })

/** The world around a simulated wire, and what happens to its flights. */
export interface SimulatedWireOptions {
  readonly time: SimulatedTime
  readonly host: SimulatedHost
  readonly server: SimulatedServer
  readonly random: SeededRandom
  /** The number of the process; every Origin carries it. */
  readonly actor: number
  readonly flightMs: number
  readonly connections: number
  /** Whether a connection tells which process of the server it leads to. If not, every new connection is distrusted. */
  readonly knowsProcess: boolean
  /** Whether a proxy stands before the server: connections lead to the proxy, and outlive a restart of the server. */
  readonly isProxied: boolean
  /** Whether versions are of the processes' own making. */
  readonly hasOwnVersions: boolean
  /** Decides what happens to a flight. */
  readonly fateOf: (commands: readonly Command[]) => Fate
  /** Called for every flight that a connection refused because a CAS in it is older than the connection. */
  readonly onUntrusted?: () => void
  /** Called for every flight that is sent. */
  readonly onSent?: (route: string, commands: readonly Command[]) => void
}

interface Flight {
  readonly route: string
  readonly commands: readonly Command[]
  readonly dueAtMs: number
  readonly settle: (outcome: Reply[] | FlightError) => void
  isSettled: boolean
  asOf: number
}

interface Connection {
  readonly epoch: number
  readonly openedAt: number
  isAlive: boolean
  flight: Flight | undefined
  timer: Timer | undefined
}

/** A wire over simulated connections. It dates CAS and connections, and refuses old CAS, as the memcached wire does. */
export class SimulatedWire implements Wire {
  private readonly idle: Connection[] = []
  private readonly connections = new Set<Connection>()
  private opening = 0
  private pending: Flight[] = []
  private ordinal = 0
  /** The rule of the memcached wire, behind a proxy. */
  private readonly trust: TrustByAge | undefined
  private lateness: Timer | undefined
  private closed = false

  constructor(private readonly o: SimulatedWireOptions) {
    if (o.actor % 2 === 1) this.startCycle = undefined
    this.trust = o.isProxied ? new TrustByAge(o.flightMs) : undefined
    if (o.isProxied) return
    o.server.onRestart.push(() => {
      const dying = [...this.connections]
      o.time.after(o.random.fraction() * 5, () => {
        o.host.deliver(() => {
          for (const connection of dying) this.destroy(connection, 'the server closed the connection')
        })
      })
    })
  }

  flight(route: string, commands: readonly Command[]): Promise<Reply[]> {
    return new Promise((landed, failed) => {
      this.send(route, commands, { landed, failed })
    })
  }

  send(route: string, commands: readonly Command[], receiver: Receiver): void {
    const flight: Flight = {
      route,
      commands,
      dueAtMs: this.o.host.nowMs() + this.o.flightMs,
      isSettled: false,
      asOf: 0,
      settle(outcome) {
        if (flight.isSettled) return
        flight.isSettled = true
        if (outcome instanceof FlightError) failLater(receiver, outcome)
        else receiver.landed(outcome)
      },
    }
    if (this.closed) {
      flight.settle(new FlightError('not-sent', 'the wire is closed'))
      return
    }
    this.pending.push(flight)
    this.o.host.setTimer(() => this.dispatch(), 0, { background: true })
  }

  /**
   * Carries out a cycle of plain values with ordinary flights. Some processes have this method, and some do without.
   */
  readonly startCycle: Wire['startCycle'] = (route, start) =>
    cycleByFlights((commands, receiver) => this.send(route, commands, receiver), start)

  maxValueBytes(): number {
    return 1_000_000
  }

  sweep(): number {
    return 0
  }

  async close(): Promise<void> {
    this.closed = true
    for (const flight of this.pending) flight.settle(new FlightError('not-sent', 'the wire was closed'))
    this.pending = []
    for (const connection of this.connections) this.destroy(connection, 'the wire was closed')
  }

  private dispatch(): void {
    const nowMs = this.o.host.nowMs()
    const waiting: Flight[] = []
    for (const flight of this.pending) {
      // It is too late to send this flight: like the memcached wire, leave the server a quarter of the deadline to
      // answer.
      if (nowMs >= flight.dueAtMs - this.o.flightMs / 4) {
        flight.settle(new FlightError('not-sent', 'no connection came free in time'))
        continue
      }
      const connection = this.pick()
      if (connection === undefined) waiting.push(flight)
      else this.depart(connection, flight)
    }
    this.pending = waiting
    const [first] = waiting
    if (first !== undefined && this.lateness === undefined) {
      this.lateness = this.o.host.setTimer(
        () => {
          this.lateness = undefined
          this.dispatch()
        },
        first.dueAtMs - this.o.flightMs / 4 - nowMs,
        { background: true },
      )
    }
    const room = this.o.connections - this.connections.size - this.opening
    for (let wanted = Math.min(room, waiting.length - this.opening); wanted > 0; wanted--) this.open()
  }

  private pick(): Connection | undefined {
    const { random } = this.o
    if (this.idle.length === 0) return undefined
    // Now and then the pool grows although a connection is free, as happens when that connection was given back just
    // now.
    if (this.connections.size + this.opening < this.o.connections && random.fraction() < 0.1) {
      this.open()
    }
    const [connection] = this.idle.splice(random.integer(this.idle.length), 1)
    return connection
  }

  private open(): void {
    const { server, time, host, random } = this.o
    this.opening++
    let isDone = false
    const done = (): boolean => {
      if (isDone) return false
      isDone = true
      this.opening--
      return true
    }
    const timer = host.setTimer(
      () => {
        if (!done()) return
        const failed = this.pending
        this.pending = []
        for (const flight of failed) flight.settle(new FlightError('not-sent', 'cannot connect'))
      },
      this.o.flightMs * 0.75,
      { background: true },
    )
    const { epoch } = server
    time.after(0.1 + random.fraction() * 2, () => {
      server.arrive(epoch, () => {
        time.after(0.1 + random.fraction() * 2, () => {
          host.deliver(() => {
            if (this.closed || !done()) return
            timer.cancel()
            if (server.epoch === epoch) this.opened(epoch)
            this.dispatch()
          })
        })
      })
    })
  }

  private opened(epoch: number): void {
    const connection: Connection = {
      epoch,
      openedAt: this.date(epoch),
      isAlive: true,
      flight: undefined,
      timer: undefined,
    }
    this.connections.add(connection)
    this.idle.push(connection)
  }

  /**
   * Dates a new connection. As in the memcached wire, a new connection may carry older CAS only if an older connection
   * leads to the same process of the server.
   */
  private date(epoch: number): number {
    if (this.o.isProxied) return this.o.host.nowMs()
    if (this.o.knowsProcess) {
      for (const one of this.connections) if (one.epoch === epoch) return this.ordinal
      for (const one of this.connections) this.destroy(one, 'the server was restarted')
    }
    return ++this.ordinal
  }

  private isTrusted(commands: readonly Command[], connection: Connection): boolean {
    const nowMs = this.o.host.nowMs()
    return commands.every((command) => {
      if (!('cas' in command)) return true
      return command.cas.asOf >= connection.openedAt && this.trust?.isTrusted(command.cas.asOf, nowMs) !== false
    })
  }

  private depart(connection: Connection, flight: Flight): void {
    const { time, host, server } = this.o
    if (!this.isTrusted(flight.commands, connection)) {
      this.idle.push(connection)
      this.o.onUntrusted?.()
      flight.settle(new FlightError('not-sent', 'the connection is younger than a CAS', { untrusted: true }))
      return
    }
    const fate = this.o.fateOf(flight.commands)
    connection.flight = flight
    if (fate.kind === 'refused') {
      flight.settle(new FlightError('not-sent', 'the connection broke'))
      this.destroy(connection, 'it broke')
      return
    }
    if (this.o.isProxied) this.ordinal = host.nowMs()
    flight.asOf = this.ordinal
    this.o.onSent?.(flight.route, flight.commands)
    connection.timer = host.setTimer(
      () => this.destroy(connection, 'it did not answer in time'),
      flight.dueAtMs - host.nowMs(),
      { background: true },
    )
    if (fate.kind !== 'pass' && fate.noticedMs !== undefined) {
      time.after(fate.noticedMs, () => {
        host.deliver(() => this.destroy(connection, 'it was cut'))
      })
    }
    if (fate.kind === 'lost') return
    const origin: Origin = { actor: this.o.actor, sentAtMs: time.nowMs, startedAtMs: -1, isZombie: false }
    const isCutShort = fate.kind === 'partial' || fate.kind === 'zombie' || fate.kind === 'unclear'
    const replies: Reply[] = []
    const isApart = fate.shuffle !== undefined || this.o.hasOwnVersions
    const inOrder = isApart ? this.apart(flight.commands) : flight.commands.map((command, index) => stepOf(command, index, server))
    const steps = fate.shuffle?.(inOrder) ?? inOrder
    const until = isCutShort ? fate.commands : steps.length
    // A proxy has what waits for a server fail with the connection to it, and begins anew with the next server.
    let epoch = connection.epoch
    const carryOut = (index: number, end: number, then: () => void): void => {
      server.arrive(epoch, () => {
        let next = index
        if (origin.startedAtMs < 0) origin.startedAtMs = time.nowMs
        origin.isZombie = flight.isSettled
        while (next < end) {
          steps[next++]?.(replies, origin)
          if (fate.gapMs > 0 && next < end) {
            time.after(fate.gapMs, () => {
              carryOut(next, end, then)
            })
            return
          }
        }
        then()
      })
    }
    time.after(fate.upMs, () => {
      if (this.o.isProxied) epoch = server.epoch
      if (server.isAway) {
        if (fate.kind === 'pass' || fate.kind === 'unclear') this.answer(connection, flight, AWAY, fate.downMs)
        return
      }
      carryOut(0, until, () => {
        if (fate.kind === 'pass') this.answer(connection, flight, replies, fate.downMs)
        if (fate.kind === 'unclear') this.answer(connection, flight, BUSY, fate.downMs)
      })
    })
    if (fate.kind === 'zombie') {
      time.after(fate.upMs + fate.laterMs, () => {
        carryOut(until, steps.length, () => undefined)
      })
    }
  }

  /**
   * The steps of a flight in the words that go through a proxy: a store does not tell the version, which is read by a
   * command of its own. With versions of our own a record is given its version by another, and a lock is stored by it.
   */
  private apart(commands: readonly Command[]): readonly Step[] {
    const { server, hasOwnVersions, random } = this.o
    return commands.flatMap((command, index): Step[] => {
      const isStore = command.op === 'add' || command.op === 'cas' || command.op === 'set'
      if (hasOwnVersions && isStore && isLockLike(command)) {
        const own = newVersion(random)
        return [(replies, origin) => (replies[index] = server.executeWithVersion(command, own, origin))]
      }
      const isGiven = hasOwnVersions && isStore && command.flags !== undefined
      const own = isGiven ? newVersion(random) : ''
      const given: Step[] = isGiven ? [() => server.giveVersion(command.key, own)] : []
      const isFollowed = command.op === 'add' || command.op === 'touch' || (command.op === 'cas' && command.wantCas === true)
      if (!isFollowed) return [stepOf(command, index, server), ...given]
      let stored: Reply | undefined
      let found: Reply | undefined
      const join = (replies: Reply[]): void => {
        if (stored !== undefined && found !== undefined) replies[index] = joined(command, stored, found)
      }
      return [
        (replies, origin) => {
          stored = server.execute(command, origin)
          join(replies)
        },
        ...given,
        (replies, origin) => {
          found = server.execute({ op: 'get', key: command.key }, origin)
          join(replies)
        },
      ]
    })
  }

  private answer(connection: Connection, flight: Flight, replies: readonly Reply[] | FlightError, downMs: number): void {
    this.o.time.after(downMs, () => {
      this.o.host.deliver(() => {
        if (!connection.isAlive || connection.flight !== flight) return
        connection.timer?.cancel()
        connection.flight = undefined
        this.idle.push(connection)
        flight.settle(replies instanceof FlightError ? replies : replies.map((reply) => datedBy(reply, flight.asOf)))
        this.dispatch()
      })
    })
  }

  private destroy(connection: Connection, why: string): void {
    if (!connection.isAlive) return
    connection.isAlive = false
    connection.timer?.cancel()
    this.connections.delete(connection)
    const index = this.idle.indexOf(connection)
    if (index >= 0) this.idle.splice(index, 1)
    const { flight } = connection
    connection.flight = undefined
    flight?.settle(new FlightError('unknown', `no answer: ${why}`))
    if (this.pending.length > 0) this.o.host.setTimer(() => this.dispatch(), 0, { background: true })
  }
}

const BUSY = new FlightError('unknown', 'the server answered with an error', { answer: 'SERVER_ERROR busy' })

const datedBy = (reply: Reply, asOf: number): Reply =>
  reply.cas === undefined ? reply : { ...reply, cas: casOf(reply.cas.version, asOf) }

const stepOf = (command: Command, index: number, server: SimulatedServer): Step => (replies, origin) => {
  replies[index] = server.execute(command, origin)
}

/**
 * What the text codec makes of the answers to a store and to its read: the version is the store's only if all else is, and
 * not if it is the one that was replaced. A lock that is kept has the same bytes before and after.
 */
function joined(command: Command, stored: Reply, found: Reply): Reply {
  const { cas, flags, value } = found
  if (command.op === 'touch') return stored.status === 'ok' ? { ...stored, cas, status: cas === undefined ? 'missing' : 'ok' } : stored
  if (!('value' in command)) return stored
  const isReplaced = command.op === 'cas' && cas?.version === command.cas.version
  const isOurs = !isReplaced && value !== undefined && areSameBytes(value, command.value) && flags === (command.flags ?? 0)
  if (stored.status === 'ok') return { ...stored, cas: isOurs ? cas : undefined }
  return stored.status === 'exists' && command.op === 'add' ? { ...stored, value, flags, cas } : stored
}
