import { CommandFlight } from '../../socket/flight.js'
import type { Command, Receiver, Reply } from '../../wire.js'

/** Who sends a flight to the node of a cluster that it takes for the owner of its slot. */
export interface LegReceiver extends Receiver {
  /**
   * Called in place of `failed` where the node refused commands, and of those behind the first refused one none has changed
   * anything: what is left may be sent elsewhere. `replies`: those of the commands before it.
   */
  refused(replies: readonly Reply[], answer: string): void
}

/** Commands on keys of one slot, sent to one node. */
export class LegFlight extends CommandFlight {
  readonly #receiver: LegReceiver

  constructor(
    commands: readonly Command[],
    receiver: LegReceiver,
    /** Whether it goes to the node that the slot is on its way to. */
    readonly isAsking: boolean,
    latestMs: number,
  ) {
    super(commands, receiver)
    this.#receiver = receiver
    this.latestMs = latestMs
  }

  protected override takesRefusal(replies: readonly Reply[], answer: string): boolean {
    queueMicrotask(() => this.#receiver.refused(replies, answer))
    return true
  }
}
