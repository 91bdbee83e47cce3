import { type Cas, type Command, promised, type Receiver, type Reply, type Value, type Wire } from '../wire.js'
import type { Lists, OurStage, Stage } from './lists.js'

/** A node of the list: a wire to it alone, and what its keys begin with where several nodes share the wire. */
export interface Place {
  /** Its address, without credentials. */
  readonly name: string
  readonly wire: Wire
  /** Goes before every key: a proxy that is a pipe to several nodes knows them by it. Mostly empty. */
  readonly keyPrefix: string
}

/**
 * What a node says of itself, in an item beside the sessions. A node that has been emptied (restarted, flushed) has lost its
 * mark with the rest, so that it is told from one that never had the session.
 */
export interface Mark {
  /** A name for the time since it was last emptied. */
  readonly incarnation: string
  /** Whether it has what it should have: only then its "missing" is a statement. */
  readonly isWhole: boolean
  /** The name of the list that it is on. */
  readonly listed: string
}

/** A mark as this process understands it. */
export interface ReadMark extends Mark {
  readonly stage: Stage
}

/** Of a node that counts. */
export type OurMark = ReadMark & { readonly stage: OurStage }

/** Whether the node counts: it is marked, and on the list of this process. */
export const isOurs = (mark: ReadMark | undefined): mark is OurMark =>
  mark !== undefined && (mark.stage === 'new' || mark.stage === 'moved' || mark.stage === 'moving' || mark.stage === 'old')

export class Member {
  /** It did not answer last time: others are not kept waiting for it. */
  isSuspect = false
  private markText = ''
  private mark: ReadMark | undefined

  constructor(
    readonly index: number,
    readonly place: Place,
    private readonly lists: Lists,
  ) {}

  get name(): string {
    return this.place.name
  }

  send(route: string, commands: readonly Command[], receiver: Receiver): void {
    const { wire, keyPrefix } = this.place
    const own = keyPrefix === '' ? commands : commands.map((command) => ({ ...command, key: keyPrefix + command.key }))
    if (wire.send !== undefined) {
      wire.send(route, own, receiver)
      return
    }
    wire.flight(route, own).then(
      (replies) => receiver.landed(replies),
      (error: unknown) => receiver.failed(error),
    )
  }

  flight(route: string, commands: readonly Command[]): Promise<Reply[]> {
    return promised((told) => this.send(route, commands, told))
  }

  /** Deletes a lock by its version, which nobody waits for. `lost` is told where it may stand there still. */
  takeOff(route: string, lockKey: string, cas: Cas, lost: () => void): void {
    this.send(route, [{ op: 'cad', key: lockKey, cas }], { landed: () => undefined, failed: lost })
  }

  /** Asks for the mark, and what it stands there as. @throws FlightError */
  async readMark(getMark: Command): Promise<{ readonly mark: ReadMark | undefined; readonly cas: Cas | undefined }> {
    const [reply] = await this.flight('', [getMark])
    return { mark: reply && this.markIn(reply), cas: reply?.cas }
  }

  /** Puts `mark` in the place of the one that stands there by that version. @returns whether it does. @throws FlightError */
  async replaceMark({ key }: Command, cas: Cas, mark: Mark): Promise<boolean> {
    const [reply] = await this.flight('', [{ op: 'cas', key, cas, value: markText(mark), ttlSec: MARK_SEC }])
    return reply?.status === 'ok'
  }

  /** As it was last read. */
  get lastMark(): ReadMark | undefined {
    return this.mark
  }

  /** The mark in the reply to its `get`; undefined: there is none. It is nearly always the same one. */
  markIn({ value }: Reply): ReadMark | undefined {
    return value === undefined ? undefined : this.markOf(value)
  }

  markOf(value: Value): ReadMark | undefined {
    const text = value.toString()
    if (text !== this.markText) {
      this.markText = text
      this.mark = this.read(text)
    }
    return this.mark
  }

  private read(text: string): ReadMark | undefined {
    const [, incarnation, state, listed] = MARK.exec(text) ?? []
    if (incarnation === undefined || listed === undefined) return undefined
    return { incarnation, isWhole: state === WHOLE, listed, stage: this.lists.stageOf(listed) }
  }
}

/** As good as for ever: a mark goes when the node is emptied. */
export const MARK_SEC = 10 * 365 * 86_400
const WHOLE = 'whole'
const EMPTIED = 'emptied'

/** In an incarnation, nothing that a head has between its parts. */
const MARK = /^([a-z0-9]{1,32}) (whole|emptied) (\S{1,100})$/

export const markText = ({ incarnation, isWhole, listed }: Mark): Value => `${incarnation} ${isWhole ? WHOLE : EMPTIED} ${listed}`
