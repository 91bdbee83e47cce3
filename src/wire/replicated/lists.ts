/**
 * Which list of nodes a process goes by. Each node's mark names the list that it is on, so that a process with another one is told
 * from the first flight on: it would look for a session on other nodes, and nobody would see that.
 *
 * A process may know two lists, while one is changed into the other; the marks then say how far that is.
 */
import { LIST_STAGES, type ListStage } from '../replica-nodes.js'
import { FlightError, UnsupportedStoreError } from '../wire.js'

/**
 * What a node's mark says of the list, to a process. `new`: it is the list of this process. Of a change: `old` before it has begun,
 * `moving` while sessions are carried over, `moved` when they have been. `behind`: the change to this list has not ended there. `unsaid`: it has
 * been emptied, and nobody has found out yet how far the others are. `foreign`: it is another list.
 */
export type Stage = ListStage | 'behind' | 'unsaid' | 'foreign'
export type OurStage = ListStage

export const UNSAID = '-'
const TO = '>'
const MOVED_TO = '>>'

/** Whether sessions have been carried over, as a node says. */
export const isCarried = (stage: Stage | undefined): boolean => stage === 'moved' || stage === 'new'

export class Lists {
  /**
   * Two lists have one name if they place all sessions on the same nodes.
   *
   * @param before the list that is being changed into this one.
   */
  constructor(
    readonly name: string,
    readonly before?: string,
  ) {}

  stageOf(listed: string): Stage {
    const { name, before } = this
    if (listed === name) return 'new'
    if (listed === UNSAID) return 'unsaid'
    if (before === undefined) return listed.endsWith(TO + name) ? 'behind' : 'foreign'
    return LIST_STAGES.find((stage) => listed === this.textOf(stage)) ?? 'foreign'
  }

  textOf(stage: OurStage): string {
    const { name, before } = this
    if (before === undefined || stage === 'new') return name
    return stage === 'old' ? before : before + (stage === 'moved' ? MOVED_TO : TO) + name
  }

  /** Whether a node that joins may have been left with this mark, when it was taken off the list earlier. */
  mayJoin(listed: string): boolean {
    return this.stageOf(listed) !== 'foreign' || [TO, MOVED_TO].some((to) => listed === this.name + to + String(this.before))
  }

  /** Why this process is refused: a node that it names is on another list. */
  refusal(node: string, listed: string): FlightError {
    const message = `${node} keeps sessions by another list of servers (${listed}; this process: ${this.textOf('moving')}). ${this.remedyOf(listed)}`
    return new FlightError('not-sent', message, { cause: new UnsupportedStoreError(message) })
  }

  private remedyOf(listed: string): string {
    if (listed.startsWith(this.name + TO)) return 'The list is being changed: give this process the save path that names who joins and who leaves (change=)'
    if (this.stageOf(listed) === 'behind') return 'The change to this list has not ended: run "npx latchkey repair" with the save path of the change, and give that to this process until then'
    return (
      'Give every process the same save path, in the same words (127.0.0.1 and localhost are two). If nobody uses the other list any more, restart ' +
      'that server, so that it is empty'
    )
  }
}
