import { FencedError, MisuseError, type ReadOnlyReason } from '../errors.js'
import type { LockedRecord, RegenerateOptions } from '../session/locked-record.js'
import type { SessionManager } from '../session/session-manager.js'
import { hashOf } from '../system/session-hash.js'
import { CallLine } from './call-line.js'
import { Leaving } from './leaving.js'
import { ignore } from './quiet.js'

/** What is stored as a session, as far as the request knows. */
interface Known {
  readonly sid: string
  readonly text: string
}

/** How an adapter makes a session of its framework of what is stored. */
export interface Form<S extends object> {
  /** Undefined where it is over. @throws LATCHKEY_UNDECODABLE and its like */
  decode(sid: string, text: string): S | undefined
  /** Seconds that it is kept alive while the request has it; undefined: it is not. Default: as the manager says. */
  keptSec?(session: S): number | undefined
  /**
   * Throws where a change of what was `read` must not be written over what is `stored` now. Default, for adapters that store
   * nothing after they have let go: whatever stands under the id of a new session is another's.
   */
  assertFollows?(sid: string, read: string, stored: string): void
}

/**
 * What one request holds of its session, and what it knows to be stored: text, which a framework has a form of its own for.
 * The lock is held from `read`, or the first `write` of a new session, to the write that lets go, or `finish`.
 * Calls must come one after the other: by way of `calls`, but for `read`, which takes its turn by itself.
 */
export class HeldText<S extends object, Failure = unknown> {
  readonly calls: CallLine<Failure>
  /** The session was let go for good, after all that was called before. */
  isOver = false
  /** The locked record, while this request holds one. */
  private hold: LockedRecord | undefined
  /** The session that goes on under another id: it stays locked until that one is stored. */
  private old: LockedRecord | undefined
  /** Set when that session could not be ended: nothing is stored any more, or one session would go on as two. */
  private refusal: { readonly error: unknown } | undefined
  /** Kept after the lock is let go: a later write checks that this is still what is stored. */
  private known: Known | undefined
  /** The id under which a second read found nothing any more: a write there would bring an ended session back. */
  private goneSid: string | undefined
  private readonly leaving = new Leaving()
  /** How far the request's first read has come. */
  firstRead: 'to come' | 'failed' | 'done' = 'to come'
  /** The id under which a copy was found that regenerate() left behind: the session goes on under another one. */
  retiredSid: string | undefined
  /** What was read last, before the framework made an object of its own of it. */
  origin: S | null = null

  constructor(
    readonly manager: SessionManager,
    private readonly label: string | undefined,
    private readonly form: Form<S>,
    /** Why the session cannot be changed, or not any more. */
    public readOnly: ReadOnlyReason | undefined,
    errorOf: (thrown: unknown) => Failure,
  ) {
    this.calls = new CallLine(errorOf)
  }

  /** The id of what is held. */
  get sid(): string | undefined {
    return this.hold?.id
  }

  /** The id of a session that is to go on under another, which is not stored yet. */
  get replacedSid(): string | undefined {
    return this.old?.id
  }

  /** Nothing is held, and nothing is under way. */
  get isIdle(): boolean {
    return this.hold === undefined && this.old === undefined && this.calls.isIdle
  }

  /** Whether the request has read it, or stored it. */
  isRead(sid: string): boolean {
    return this.known?.sid === sid
  }

  isGone(sid: string): boolean {
    return this.goneSid === sid
  }

  /** What is stored, as far as the request knows; '' where it has not read or stored it. */
  textOf(sid: string): string {
    return this.known?.sid === sid ? this.known.text : ''
  }

  /** Aborts, with the typed error as its reason, when the lock is lost. */
  get signal(): AbortSignal {
    return this.hold?.signal ?? new AbortController().signal
  }

  /** The client has gone: the request stops waiting for its session. */
  giveUpWaiting(): void {
    this.leaving.leave()
  }

  /** @throws ClientGoneError after giveUpWaiting(). */
  throwIfGivenUp(): void {
    this.leaving.throwIfAborted()
  }

  /**
   * The session; null when there is none. Waits for the lock, and keeps it if there is a session that goes on under this
   * id. A session that is held already is read again. One flight.
   * Of what is only read, and of another session than the one that is held, it only has a look; so it has of each, once the
   * last write has let go or is about to: a second lock would never be let go.
   */
  async read(sid: string): Promise<S | null> {
    const turn = this.calls.begin()
    if (turn !== undefined) await turn
    try {
      const { hold, leaving: signal, label } = this
      const isFirst = this.firstRead === 'to come'
      if (isFirst) this.firstRead = 'failed'
      let session: S | null = null
      if (hold !== undefined && hold.id === sid) session = await this.openedAgain(hold)
      else if (this.manager.flawOf(sid) !== undefined) session = null
      else if (this.isOnlyLooking || hold !== undefined || this.goneSid === sid) session = await this.lookAt(sid, isFirst)
      // What was set aside this request holds the lock of: to ask for it would be to wait for itself.
      else if (this.old?.id !== sid) {
        this.hold = await this.manager.lock(sid, { signal, label })
        session = await this.opened(this.hold)
      }
      if (isFirst) this.firstRead = 'done'
      return session
    } finally {
      this.calls.end()
    }
  }

  /** As it is stored now, without waiting and without a lock (`look`). */
  protected async lookAt(sid: string, _isFirst: boolean): Promise<S | null> {
    return this.decoded(sid, await this.look(sid))
  }

  /** The last write has let go, or is about to. */
  protected get isLeft(): boolean {
    return this.isOver || (this.calls.isAnswering && this.hold === undefined)
  }

  private get isOnlyLooking(): boolean {
    return this.readOnly !== undefined || this.isLeft
  }

  /** Reads a session that is not held any more, without waiting and without a lock. One flight. */
  async look(sid: string): Promise<string> {
    const text = await this.manager.peekText(sid)
    // A later write must follow from this text; nothing follows from a session that has gone.
    if (text === '') this.goneSid = sid
    else this.known = { sid, text }
    if (text !== '' && this.goneSid === sid) this.goneSid = undefined
    return text
  }

  /** For how long the session is kept alive while it is held (LockedRecord.keepAlive). Sends nothing. */
  keepAlive(lifetimeSec: number | undefined): void {
    this.hold?.keepAlive(lifetimeSec)
  }

  /** Lets go of what was read because nobody can work with it: it has expired, or cannot be decoded. One flight, or none. */
  async drop(): Promise<void> {
    const { hold } = this
    this.hold = undefined
    await hold?.release()
  }

  /**
   * Writes what is held, or begins it; `isLast` lets go as well, and what is stored already is only prolonged then.
   * One flight; two for one that is begun, and another one where it goes on for one that was set aside (`endOld`).
   *
   * Of a session that was let go of since it was read, what is stored must be what was read (Form.assertFollows).
   */
  async write(sid: string, text: string, lifetimeSec: number | undefined, isLast: boolean): Promise<void> {
    if (this.refusal !== undefined) throw this.refusal.error
    const isStored = this.hold !== undefined && this.textOf(sid) === text
    const hold = this.hold ?? (await this.lockAsKnown(sid))
    if (!isLast) await hold.save(text, lifetimeSec)
    else {
      this.hold = undefined
      try {
        if (isStored) await hold.touch(lifetimeSec)
        else {
          await new Promise<true>((resolve, reject) => {
            hold.store(text, lifetimeSec, { resolve, reject })
          })
        }
      } finally {
        await hold.release()
      }
    }
    this.known = { sid, text }
    if (this.old !== undefined) await this.endOld(sid)
  }

  /** With its lock, if it is held, and with what was set aside for it. One flight each. */
  async destroy(sid: string): Promise<void> {
    const { hold, old } = this
    if (this.known?.sid === sid) this.known = undefined
    if (hold?.id === sid) await this.destroyHeld(hold)
    else if (old?.id !== sid && this.manager.flawOf(sid) === undefined) await this.manager.destroy(sid)
    if (old === undefined) return
    // The new session was not stored yet, so the old one is what is to be destroyed.
    this.old = undefined
    await this.destroyHeld(old)
  }

  /** The session goes on under another id; until that one is stored it stays as it is, and locked. */
  async setAside(sid: string): Promise<void> {
    const { hold, old } = this
    this.known = undefined
    if (hold?.id === sid && old === undefined) {
      this.hold = undefined
      this.old = hold
    } else if (hold?.id === sid) {
      // It was to replace another one and was never stored: it is dropped, and the other one still waits to be replaced.
      await this.destroyHeld(hold)
    } else if (old === undefined) {
      // It is not held: it was never stored, or has gone. A record under its id would be somebody else's.
      await this.destroy(sid)
    }
  }

  /**
   * Ends what was set aside (LockedRecord.retire), now that `newSid` is stored, or that the request is over and nothing
   * is to come in its place. One flight. Where another has destroyed or changed it in the meantime, that one has won:
   * the new session is destroyed, no other one begins, and this throws.
   */
  async endOld(newSid?: string): Promise<void> {
    const { old } = this
    if (old === undefined) return
    this.old = undefined
    try {
      await old.retire(this.manager.retiredCopySec)
    } catch (error) {
      this.refusal = { error }
      if (newSid !== undefined) await this.destroy(newSid).catch(() => undefined)
      throw error
    } finally {
      await old.release()
    }
  }

  /**
   * What is held goes on under a new id at once, which is returned (LockedRecord.goOn). Three flights. Where that fails and
   * its lock is not held any more, nothing is stored from then on.
   */
  async goOn(text: string, lifetimeSec: number | undefined, options: RegenerateOptions | undefined): Promise<string> {
    const { hold, label } = this
    if (hold === undefined) throw new MisuseError('No session is held that could go on under another id.')
    try {
      this.hold = await hold.goOn(text, { label, lifetimeSec }, options)
    } catch (error) {
      if (!hold.isHeld) {
        this.refusal = { error }
        await this.drop()
      }
      throw error
    }
    this.known = { sid: this.hold.id, text }
    return this.hold.id
  }

  /** Of all that is held, without storing. One flight, or none. */
  async letGo(): Promise<void> {
    const records = [this.hold, this.old]
    this.hold = this.old = undefined
    await Promise.all(records.flatMap((record) => record?.release() ?? []))
  }

  /**
   * As `finish`, of a response that leaves: what was set aside ends, though nothing is stored in its place; but not where
   * it is the new session that could not be stored. That it failed is told as any failed change is.
   */
  async complete(): Promise<void> {
    const { calls } = this
    if (this.old !== undefined || !calls.isIdle) {
      const ending = calls.inTurn(async () => {
        if (this.old !== undefined && !calls.hasFailedBeside(this.old.id)) await this.endOld()
      }, '')
      await ending.catch(ignore)
    }
    return this.finish()
  }

  /** Lets go of what is still held, after what is under way; nothing is changed from then on. Throws nothing. */
  async finish(): Promise<void> {
    this.giveUpWaiting()
    // A lock that could not be released is swept later, or ends with its lease. What the session holds is decided by now.
    await this.calls.inTurn(() => {
      this.isOver = true
      return this.letGo()
    }).catch(ignore)
  }

  /** What was locked, if it is a session; else nobody can work with it, and it is let go of. */
  private async opened(hold: LockedRecord): Promise<S | null> {
    const { id: sid, text, isRetired } = hold
    let session: S | null = null
    try {
      // The client may have gone in the meantime: then the handler never sees what was read.
      this.leaving.throwIfAborted()
      this.known = { sid, text }
      if (isRetired) this.retiredSid = sid
      session = this.taken(hold)
    } finally {
      if (session === null || isRetired) await this.drop()
    }
    this.leaving.throwIfAborted()
    return session
  }

  /** As `opened`, of what is read again: where it is no session any more, nothing may be stored under its id. */
  private async openedAgain(hold: LockedRecord): Promise<S | null> {
    await hold.reload()
    const { id: sid, text } = hold
    // Else `known` stays: where the request has changed nothing since, no change is lost with the session.
    if (text !== '') this.known = { sid, text }
    let session: S | null = null
    try {
      session = this.taken(hold)
    } finally {
      if (session === null) {
        this.goneSid = sid
        await this.letGo()
      }
    }
    return session
  }

  private taken(hold: LockedRecord): S | null {
    const session = this.decoded(hold.id, hold.text)
    if (session === null) return null
    if (this.form.keptSec !== undefined) hold.keepAlive(this.form.keptSec(session))
    if (this.retiredSid !== undefined) this.readOnly = 'retired'
    return session
  }

  protected decoded(sid: string, text: string): S | null {
    return (this.origin = text === '' ? null : (this.form.decode(sid, text) ?? null))
  }

  private async lockAsKnown(sid: string): Promise<LockedRecord> {
    const { known, label } = this
    const hold = await this.manager.lock(sid, { label })
    try {
      if (known?.sid === sid) this.assertFollows(sid, known.text, hold.text)
    } catch (error) {
      // `known` stays what was read: the request's changes were made to that.
      await hold.release()
      throw error
    }
    this.known = { sid, text: hold.text }
    return (this.hold = hold)
  }

  private assertFollows(sid: string, read: string, stored: string): void {
    if (this.form.assertFollows !== undefined) this.form.assertFollows(sid, read, stored)
    else if (stored !== read) throw new FencedError('Another session stands under this id.', { session: hashOf(sid) })
  }

  private async destroyHeld(held: LockedRecord): Promise<void> {
    this.hold = undefined
    try {
      await held.destroy()
    } finally {
      await held.release()
    }
  }
}
