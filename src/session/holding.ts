import { MisuseError } from '../errors.js'
import type { AcquireOptions, Handle } from '../lock/protocol/handle.js'
import { hashOf } from '../system/session-hash.js'
import type { RecordContent } from './records/record-content.js'

/** The two functions of a promise. */
export interface Settle<T> {
  resolve(value: T): void
  reject(reason: unknown): void
}

const UNREAD: RecordContent = { text: '', isRetired: false, isOutdated: false }

/**
 * One session's lock from the question for it to its end, and whoever is to be told: the locker tells this object, and
 * this object the one promise of the call. A promise for each layer would cost more than the lock.
 *
 * What is marked as internal is in no declaration of the package: an application that has a LockedRecord must not call
 * it. So this is an Asker and a Committer without saying so, which the declarations could not keep.
 */
export abstract class Holding {
  protected taken: Handle | undefined
  protected content: RecordContent = UNREAD
  private giveUp: (() => Error) | undefined
  /** Whoever is told how the commit ends that is under way. */
  protected committing: Settle<true> | undefined

  /** @param asking told the session's text when it is locked, or why it is not. */
  constructor(
    readonly id: string,
    /** @internal */
    readonly options: AcquireOptions,
    private readonly lifetimeSec: number,
    private asking: Settle<string> | undefined,
  ) {}

  /** Reads the record of `handle`. Throws where it cannot be read. */
  protected abstract contentOf(handle: Handle): RecordContent

  /** Whether it is not locked yet. @internal */
  get isAsked(): boolean {
    return this.asking !== undefined
  }

  /** Whether it was locked, whatever has become of it since. A retired copy never is. @internal */
  get isLocked(): boolean {
    return this.taken !== undefined && !this.content.isRetired
  }

  /** Whether it is being stored, to be let go of. @internal */
  get isCommitting(): boolean {
    return this.committing !== undefined
  }

  protected get handle(): Handle {
    if (this.taken === undefined) throw new MisuseError('The session is not locked.', { session: hashOf(this.id) })
    return this.taken
  }

  /** Of a session that is not locked yet: it is let go of at once, and whoever asked for it is told why. @internal */
  abandon(why: () => Error): void {
    this.giveUp = why
  }

  /** For the locker. A retired copy is not kept locked, nor is a record that cannot be read. @internal */
  acquired(handle: Handle): void {
    try {
      if (this.giveUp !== undefined) throw this.giveUp()
      this.content = this.contentOf(handle)
    } catch (error) {
      this.letGo(handle, () => this.refused(error))
      return
    }
    this.taken = handle
    if (this.content.isRetired) {
      this.letGo(handle, () => this.tell())
      return
    }
    handle.keepAlive(this.lifetimeSec)
    this.tell()
  }

  /** For the locker. @internal */
  refused(reason: unknown): void {
    const { asking } = this
    this.asking = undefined
    asking?.reject(reason)
  }

  private tell(): void {
    const { asking } = this
    this.asking = undefined
    asking?.resolve(this.content.text)
  }

  private letGo(handle: Handle, then: () => void): void {
    handle.release().then(then, (error: unknown) => {
      this.refused(error)
    })
  }

  /** A second one would be told in place of the first. @throws MisuseError while it is being stored. */
  protected assertNotCommitting(): void {
    if (this.committing !== undefined) throw new MisuseError('The session is being stored already.', { session: hashOf(this.id) })
  }

  /** For the lock. @internal */
  committed(): void {
    const { committing } = this
    this.committing = undefined
    committing?.resolve(true)
  }

  /** For the lock. @internal */
  failed(error: unknown): void {
    const { committing } = this
    this.committing = undefined
    committing?.reject(error)
  }
}
