/**
 * One flight to the cluster: commands on keys of one slot, followed to the node that serves it.
 *
 * A node that does not serve a slot says so before it carries anything out, so what it refuses may be sent elsewhere, and is
 * not carried out twice. What was not answered may have been carried out: it is 'unknown', and never sent again.
 *
 * While a slot is on its way from one node to another, a session's record may be on one of them and its lock on the other. A
 * flight that meets that goes on command by command, each to where its key is: the reading of a record then still comes behind
 * the adding of its lock, and a record that has not moved yet is not taken for one that does not exist.
 */
import type { Clock } from '../../../system/clock.js'
import type { ServerNode } from '../../socket/node.js'
import { hasChanged, refused } from '../../socket/server-errors.js'
import { type Command, failLater, FlightError, type Receiver, type Reply } from '../../wire.js'
import type { ClusterNodes } from './cluster-nodes.js'
import { LegFlight, type LegReceiver } from './leg-flight.js'
import { redirectIn } from './redirect.js'

/** So often a command is sent on; nodes may refer to each other in a circle. */
const MOST_STEPS = 8

export interface ClusterFlightGround {
  readonly nodes: ClusterNodes
  readonly clock: Clock
  /** The deadline, from the beginning to the settling. */
  readonly flightMs: number
}

export class ClusterFlight implements LegReceiver {
  readonly #ground: ClusterFlightGround
  readonly #slot: number
  readonly #commands: readonly Command[]
  readonly #receiver: Receiver
  readonly #dueAtMs: number
  #replies: readonly Reply[] = []
  #isOneByOne = false
  #node: ServerNode | undefined
  /** Since the last reply. */
  #steps = 0

  constructor(ground: ClusterFlightGround, slot: number, commands: readonly Command[], receiver: Receiver) {
    this.#ground = ground
    this.#slot = slot
    this.#commands = commands
    this.#receiver = receiver
    this.#dueAtMs = ground.clock.nowMs() + ground.flightMs
  }

  begin(): void {
    const owner = this.#ground.nodes.ownerOf(this.#slot)
    if (owner === undefined) void this.#afterRefresh(new FlightError('not-sent', 'No node of the cluster serves this session.'))
    else this.#send(owner, false)
  }

  landed(replies: readonly Reply[]): void {
    this.#steps = 0
    this.#replies = this.#replies.length === 0 ? replies : [...this.#replies, ...replies]
    if (this.#replies.length === this.#commands.length) this.#receiver.landed([...this.#replies])
    else this.begin()
  }

  refused(replies: readonly Reply[], answer: string): void {
    if (replies.length > 0) {
      this.#steps = 0
      this.#replies = [...this.#replies, ...replies]
    }
    const failure = refused(answer)
    const redirect = redirectIn(answer)
    const node = this.#node
    if (redirect === undefined || node === undefined) {
      this.#fail(failure)
      return
    }
    if (redirect.kind === 'elsewhere') {
      void this.#afterRefresh(failure)
      return
    }
    this.#isOneByOne ||= redirect.kind !== 'moved'
    const { nodes } = this.#ground
    const next = redirect.kind === 'apart' ? node : nodes.nodeAt(redirect.place, node)
    if (redirect.kind === 'moved') {
      if (next !== undefined) nodes.moved(this.#slot, next)
      nodes.refreshSoon()
    }
    if (next === undefined || !this.#maySend()) this.#fail(failure)
    else this.#send(next, redirect.kind === 'ask')
  }

  failed(error: unknown): void {
    if (error instanceof FlightError && error.outcome === 'not-sent' && error.answer === undefined) {
      // Whether the node is gone: others may know who has its slots now.
      void this.#afterRefresh(error)
      return
    }
    this.#ground.nodes.refreshSoon()
    this.#fail(error)
  }

  /** Sends it to the slot's new owner, if it has one. */
  async #afterRefresh(failure: FlightError): Promise<void> {
    const { nodes } = this.#ground
    try {
      await this.#untilLate(nodes.refresh())
    } catch (error) {
      this.#fail(this.#node === undefined ? error : failure)
      return
    }
    const owner = nodes.ownerOf(this.#slot)
    if (owner === undefined || owner === this.#node || !this.#maySend()) this.#fail(failure)
    else this.#send(owner, false)
  }

  #send(node: ServerNode, isAsking: boolean): void {
    this.#node = node
    this.#steps += 1
    const from = this.#replies.length
    const left = this.#isOneByOne ? this.#commands.slice(from, from + 1) : from === 0 ? this.#commands : this.#commands.slice(from)
    node.queue(new LegFlight(left, this, isAsking, this.#dueAtMs))
  }

  /** Until it is not worth sending any more: a quarter is for the server to answer in. */
  get #leftMs(): number {
    const { clock, flightMs } = this.#ground
    return this.#dueAtMs - flightMs / 4 - clock.nowMs()
  }

  #maySend(): boolean {
    return this.#steps < MOST_STEPS && this.#leftMs > 0
  }

  #untilLate(refreshed: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const late = (): void => reject(new FlightError('not-sent', 'No node of the cluster said in time which of them serves this session.'))
      const timer = this.#ground.clock.setTimer(late, Math.max(this.#leftMs, 1))
      refreshed.then(resolve, reject).finally(() => timer.cancel())
    })
  }

  /** What was carried out before is not undone: then the flight as a whole did not fail for certain. */
  #fail(error: unknown): void {
    const isCertain = error instanceof FlightError && error.outcome === 'not-sent'
    if (!isCertain || !hasChanged(this.#commands, this.#replies)) {
      failLater(this.#receiver, error)
      return
    }
    const { message, answer } = error
    const told = { cause: error, ...(answer === undefined ? {} : { answer }) }
    failLater(this.#receiver, new FlightError('unknown', `A part of it was carried out, and the rest was not: ${message}`, told))
  }
}
