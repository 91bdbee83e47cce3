/**
 * Which list of nodes a process goes by. Each node's mark names the list that it is on, so that a process with another one is told
 * from the first flight on: it would look for a session on other nodes, and nobody would see that.
 */
import { FlightError, UnsupportedStoreError } from '../wire.js'

/** What a node's mark says of the list, to a process. `new`: it is the list of this process. `foreign`: it is another one. */
export type Stage = 'new' | 'foreign'

export class Lists {
  /** @param name of the list. Two lists have one name if they place all sessions on the same nodes. */
  constructor(readonly name: string) {}

  stageOf(listed: string): Stage {
    return listed === this.name ? 'new' : 'foreign'
  }

  /** Why this process is refused: a node that it names is on another list. */
  refusal(node: string, listed: string): FlightError {
    const message =
      `${node} keeps sessions by another list of servers (${listed}; this process: ${this.name}). ` +
      'Give every process the same save path, in the same words (127.0.0.1 and localhost are two). If nobody uses the other list any more, restart ' +
      'that server, so that it is empty'
    return new FlightError('not-sent', message, { cause: new UnsupportedStoreError(message) })
  }
}
