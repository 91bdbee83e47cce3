import { asFlightError, outcomeUnknown, serverRefused, unavailable } from './protocol/failures.js'
import { type Asker, type Committer, type Handle, type Locker, tellOf } from './protocol/handle.js'
import { fly, type LockContext, replyAt } from './protocol/lock-context.js'
import type { Command, Reply, Value } from '../wire/wire.js'

/**
 * Enters sessions without any lock: reads the record, and later writes over whatever stands there by then. Session
 * stores without locks work like this; the demonstration compares with it. UNSAFE: of two requests of one session, the
 * later save erases what the earlier one stored.
 */
export class NaiveLocker implements Locker {
  constructor(private readonly context: LockContext) {}

  acquire(id: string, asker: Asker): void {
    const key = this.context.layout.keysOf(id).record
    const handle = new NaiveHandle(key, (command) => this.one(id, command), (sinceMs, wrote) => this.tell(id, asker, sinceMs, wrote))
    handle.reload().then(
      () => {
        handle.sinceMs = this.context.clock.nowMs()
        asker.acquired(handle)
      },
      (error: unknown) => {
        asker.refused(error)
      },
    )
  }

  private tell(id: string, { options }: Asker, sinceMs: number, wroteUnlocked: boolean): void {
    const { tap, clock } = this.context
    const told = { token: undefined, label: options.label, outcome: 'ok', to: 'nobody', causedMs: 0 } as const
    tap.witness?.held({ id, ...told, sinceMs, overAtMs: clock.nowMs(), wroteUnlocked })
  }

  async peek(id: string): Promise<Value | undefined> {
    const reply = await this.one(id, { op: 'get', key: this.context.layout.keysOf(id).record })
    return reply.value
  }

  async destroy(id: string): Promise<void> {
    await this.one(id, { op: 'delete', key: this.context.layout.keysOf(id).record })
  }

  async close(): Promise<void> {
    // Nothing is held.
  }

  private async one(id: string, command: Command): Promise<Reply> {
    try {
      const reply = replyAt(await fly(this.context, id, [command]), 0)
      if (reply.status === 'ok' || reply.status === 'missing') return reply
      throw serverRefused(this.context, id, reply)
    } catch (thrown) {
      if (thrown instanceof Error && 'code' in thrown) throw thrown
      const failure = asFlightError(thrown)
      throw failure.outcome === 'unknown' && command.op !== 'get' ? outcomeUnknown(id, failure) : unavailable(this.context, id, failure)
    }
  }
}

class NaiveHandle implements Handle {
  record: Value | undefined
  readonly isHeld = true
  readonly isLeft = true
  readonly signal = new AbortController().signal
  /** When it had read. */
  sinceMs = 0
  private isTold = false

  constructor(
    private readonly key: string,
    private readonly one: (command: Command) => Promise<Reply>,
    private readonly tell: (sinceMs: number, wrote: boolean) => void,
  ) {}

  /** Once: an adapter may save, and release then. */
  private over(wrote: boolean): void {
    if (this.isTold) return
    this.isTold = true
    this.tell(this.sinceMs, wrote)
  }

  keepAlive(): void {
    // Nothing is renewed.
  }

  commit(bytes: Value, ttlSec: number, committer: Committer): void {
    tellOf(this.save(bytes, ttlSec), committer)
  }

  async save(bytes: Value, ttlSec: number): Promise<void> {
    await this.one({ op: 'set', key: this.key, value: bytes, ttlSec })
    this.record = bytes
    this.over(true)
  }

  async touch(ttlSec: number): Promise<void> {
    await this.one({ op: 'touch', key: this.key, ttlSec })
    this.over(false)
  }

  async release(): Promise<void> {
    this.over(false)
  }

  async destroy(): Promise<void> {
    await this.one({ op: 'delete', key: this.key })
    this.over(true)
  }

  end(): Promise<void> {
    return this.destroy()
  }

  async reload(): Promise<void> {
    const reply = await this.one({ op: 'get', key: this.key })
    this.record = reply.value
  }
}
