/** A command that is none of a flight: an operator's question, or the next step of a walk through the keys. */
import { failLater, type Receiver } from '../wire.js'
import { Flight } from '../socket/flight.js'
import type { ServerNode } from '../socket/node.js'
import { plain, type PlainReply, type RespReply } from './resp.js'

const ASK_BYTES = 64

export class Ask extends Flight {
  readonly kind = 'commands'
  readonly commands = []
  readonly size = 1
  readonly bytes = ASK_BYTES
  readonly oldestAsOf = Infinity
  protected readonly receiver: Receiver
  readonly #resolve: (reply: PlainReply) => void

  constructor(
    readonly words: readonly (string | number)[],
    resolve: (reply: PlainReply) => void,
    failed: (error: unknown) => void,
  ) {
    super()
    this.#resolve = resolve
    this.receiver = { landed: () => undefined, failed }
  }

  tell(reply: RespReply): void {
    if (this.answerAll()) this.#resolve(plain(reply))
  }

  protected land(): void {
    failLater(this.receiver, new TypeError('a question has a reply of its own'))
  }
}

/**
 * Asks a server, and returns what it answered; an error is a reply as well.
 *
 * @throws {FlightError} it did not answer.
 */
export const ask = (node: ServerNode, ...words: readonly (string | number)[]): Promise<PlainReply> =>
  new Promise((resolve, reject: (error: unknown) => void) => {
    node.queue(new Ask(words, resolve, reject))
  })
