import type { Clock } from '../../system/clock.js'
import type { Random } from '../../system/random.js'
import type { Command, FlightError } from '../wire.js'
import type { Lists } from './lists.js'
import { isOurs, type Mark, markText, type Member } from './member.js'

/** How long one waits, in milliseconds, before a node without a mark is noted as emptied: another process may be founding the set. */
const FOUNDING_MS = 100
const INCARNATION_BYTES = 8
/** As good as for ever: a mark goes when the node is emptied. */
export const MARK_SEC = 10 * 365 * 86_400

type Seen = 'marked' | 'none' | 'foreign' | 'away'

/**
 * Sees to it that every node has its mark. Where none has one, the set is new, and all of them are whole. Where others have, a
 * node without one has been emptied: it is marked as that, until it has been repaired. On the nodes of another list nothing is marked.
 */
export class Roster {
  private enrolling: Promise<void> | undefined
  /** Why nobody is served by this list, as far as is known: one of its nodes is on another one. */
  stranger: FlightError | undefined

  constructor(
    private readonly members: readonly Member[],
    private readonly markKey: string,
    private readonly lists: Lists,
    private readonly clock: Clock,
    private readonly random: Random,
  ) {}

  /** Called when a node has answered without a mark. */
  note(): void {
    void this.enrol()
  }

  /** Never rejects. */
  enrol(): Promise<void> {
    this.enrolling ??= this.enrolAll()
      .catch(() => undefined)
      .finally(() => {
        this.enrolling = undefined
      })
    return this.enrolling
  }

  private async enrolAll(): Promise<void> {
    const seen = await this.look()
    const unmarked = this.members.filter((member) => seen.get(member) === 'none')
    if (unmarked.length === this.members.length) return this.mark(unmarked, true)
    // Who is away may be the one that knows better.
    const said = [...seen.values()]
    if (unmarked.length === 0 || !said.includes('marked') || said.includes('foreign')) return
    // Not in the background: a tool that has nothing else to do would end here, and nothing was done.
    await new Promise<void>((resolve) => {
      this.clock.setTimer(resolve, FOUNDING_MS)
    })
    const again = await this.look()
    await this.mark(unmarked.filter((member) => again.get(member) === 'none'), false)
  }

  private async look(): Promise<Map<Member, Seen>> {
    let stranger: FlightError | undefined
    const look = async (member: Member): Promise<[Member, Seen]> => {
      try {
        const { mark } = await member.readMark({ op: 'get', key: this.markKey })
        if (mark?.stage === 'foreign') stranger = this.lists.refusal(member.name, mark.listed)
        return [member, mark === undefined ? 'none' : isOurs(mark) ? 'marked' : 'foreign']
      } catch {
        return [member, 'away']
      }
    }
    const seen = new Map(await Promise.all(this.members.map(look)))
    this.stranger = stranger
    return seen
  }

  private async mark(members: readonly Member[], isWhole: boolean): Promise<void> {
    await Promise.all(members.map((member) => member.flight('', [this.commandFor(isWhole)]).catch(() => undefined)))
  }

  private commandFor(isWhole: boolean): Command {
    // Each is drawn by itself: of two nodes with one incarnation, the versions of one would be taken for those of the other.
    const mark: Mark = { incarnation: Buffer.from(this.random.bytes(INCARNATION_BYTES)).toString('hex'), isWhole, listed: this.lists.name }
    return { op: 'add', key: this.markKey, value: markText(mark), ttlSec: MARK_SEC }
  }
}
